# One stage builds, one runs. It speaks MCP over stdio, and keeps tickets, journal and halts in /state:
#   docker build -t ct-mcp .
#   docker run -i --rm -e CROSSTRADE_TOKEN -v ct-mcp-state:/state ct-mcp
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ct_mcp ct_mcp
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python -m venv /opt/ct-mcp \
    && /opt/ct-mcp/bin/pip install --no-cache-dir /wheels/*.whl

FROM python:3.12-slim
LABEL org.opencontainers.image.title="ct-mcp" \
      org.opencontainers.image.description="Trade NinjaTrader 8 through an AI assistant and CrossTrade, behind limits and approvals" \
      org.opencontainers.image.licenses="MIT AND Apache-2.0" \
      io.modelcontextprotocol.server.name="io.github.OWNER/ct-mcp"
RUN useradd --create-home --uid 10001 --user-group ct-mcp \
    && install --directory --owner=ct-mcp --group=ct-mcp --mode=0700 /state
COPY --from=build /opt/ct-mcp /opt/ct-mcp
ENV PATH=/opt/ct-mcp/bin:$PATH \
    CT_MCP_STATE_DIR=/state
VOLUME ["/state"]
# ct-mcp, by its number, so that a host which insists on "not root" can tell.
USER 10001:10001
WORKDIR /home/ct-mcp
ENTRYPOINT ["ct-mcp"]
CMD ["serve"]
