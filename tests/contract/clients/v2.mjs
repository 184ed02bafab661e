// The second generation: asks for the protocol of 2026 where it is told to, and speaks that of 2025 otherwise.

import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

import { drive, options } from "./driver.mjs";

// With the SDK's own transport a second process is started, just to ask it for its protocol; with a subclass the first
// message of the one process asks.
class OneProcess extends StdioClientTransport {}

await drive({
  make: (capabilities) =>
    new Client({ name: "tests-v2", version: "1" }, { capabilities, versionNegotiation: { mode: options.era } }),
  listen: (client, answer) => client.setRequestHandler("elicitation/create", answer),
  reach: (server) => new (options.processes === 2 ? StdioClientTransport : OneProcess)(server),
  negotiated: (client) => client.getNegotiatedProtocolVersion(),
});
