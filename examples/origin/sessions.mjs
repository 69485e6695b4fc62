// The legacy era (2025-11-25 and older): a session for each `initialize`, a stream for GET, and events that a
// client can fetch again after a broken connection. The handler of the modern package keeps no sessions, and
// without a session a server cannot send requests to its client.

import { randomUUID } from "node:crypto";
import { NodeStreamableHTTPServerTransport } from "@modelcontextprotocol/node";
import { isInitializeRequest } from "@modelcontextprotocol/server";
import { refuse } from "./refuse.mjs";

// Clients rarely end their sessions. When there are too many, the oldest is closed; its client gets 404 and starts a new one.
const MAX_SESSIONS = 500;
const MAX_EVENTS = 500;

export function createLegacySessions(createMcpServer) {
  const sessions = new Map();

  async function open() {
    const changes = { watched: new Set() };
    const mcp = createMcpServer(changes);
    changes.toolsChanged = () => mcp.server.sendToolListChanged();
    changes.promptsChanged = () => mcp.server.sendPromptListChanged();
    changes.resourceUpdated = (uri) => changes.watched.has(uri) && mcp.server.sendResourceUpdated({ uri });

    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: createEventStore(),
      retryInterval: 200,
      onsessioninitialized(id) {
        if (sessions.size >= MAX_SESSIONS) sessions.values().next().value.mcp.close();
        sessions.set(id, { mcp, transport });
      },
    });
    mcp.server.onclose = () => sessions.delete(transport.sessionId);
    await mcp.connect(transport);
    return transport;
  }

  return {
    async serve(req, res, body) {
      const id = req.headers["mcp-session-id"];
      if (id !== undefined) {
        const session = sessions.get(id);
        if (session === undefined) return refuse(res, 404, -32001, "Session not found");
        return session.transport.handleRequest(req, res, body);
      }
      if (!isInitializeRequest(body)) return refuse(res, 400, -32000, "Mcp-Session-Id header is required");
      const transport = await open();
      await transport.handleRequest(req, res, body);
    },
    async close() {
      await Promise.all([...sessions.values()].map(({ mcp }) => mcp.close()));
    },
  };
}

// One store for each session, so that an event id of another session finds nothing.
function createEventStore() {
  let events = [];
  let last = 0;
  return {
    async storeEvent(streamId, message) {
      const id = String(++last);
      events.push({ id, streamId, message });
      if (events.length > MAX_EVENTS) events = events.slice(-MAX_EVENTS);
      return id;
    },
    async getStreamIdForEventId(id) {
      return events.find((event) => event.id === id)?.streamId;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const from = events.findIndex(({ id }) => id === lastEventId);
      const { streamId } = events[from];
      for (const event of events.slice(from + 1)) {
        // The transport also stores an empty message for the event that only announces an id: leave it out.
        if (event.streamId === streamId && event.message.jsonrpc) await send(event.id, event.message);
      }
      return streamId;
    },
  };
}
