// The first generation: one package, the protocol of 2025.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

import { drive } from "./driver.mjs";

class Transport extends StdioClientTransport {
  setProtocolVersion(version) {
    this.protocol = version;
  }
}

await drive({
  make: (capabilities) => new Client({ name: "tests-v1", version: "1" }, { capabilities }),
  listen: (client, answer) => client.setRequestHandler(ElicitRequestSchema, answer),
  reach: (server) => new Transport(server),
  negotiated: (client) => client.transport.protocol,
});
