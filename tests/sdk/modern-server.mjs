// A server of the 2026-07-28 revision alone: no sessions, no initialize. "modern-server.mjs NAME"

import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server';

const [name, port] = process.argv.slice(2);
let cancelled = 0;
const answer = text => ({ content: [{ type: 'text', text }] });
const number = { type: 'number' };

// Every request gets a server object of its own: whatever is to last lives outside.
function makeServer() {
    const capabilities = { tools: { listChanged: true } };
    const server = new McpServer({ name: 'modern', version: '1.0.0' }, { capabilities });
    server.registerTool('whoami', { description: 'The name of this server' }, () => answer(name));
    server.registerTool(
        'add',
        { inputSchema: fromJsonSchema({ type: 'object', properties: { a: number, b: number }, required: ['a', 'b'] }) },
        ({ a, b }) => answer(`${a + b}`)
    );
    server.registerTool('count', { description: 'Counts to five in 1.5 seconds' }, async ctx => {
        for (let progress = 1; progress <= 5; progress++) {
            await new Promise(resolve => setTimeout(resolve, 300));
            if (ctx.mcpReq.signal.aborted) cancelled++;
            ctx.mcpReq.signal.throwIfAborted();
            const { progressToken } = ctx.mcpReq._meta;
            const params = { progressToken, progress, total: 5 };
            await ctx.mcpReq.notify({ method: 'notifications/progress', params });
        }
        return answer('counted');
    });
    server.registerTool('cancelled', { description: 'How often it was stopped' }, () => answer(`${cancelled}`));
    server.registerTool('change', { description: 'Says that the tools have changed' }, () => {
        handler.notify.toolsChanged();
        return answer('changed');
    });
    return server;
}

const handler = createMcpHandler(makeServer, { legacy: 'reject' });
const http = createServer(toNodeHandler(handler));
http.listen(Number(port), '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}/mcp`));
