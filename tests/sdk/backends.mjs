// The servers behind the gateway: what to start, and how to ask the same things of each kind.

import { start } from './processes.mjs';

const here = new URL('.', import.meta.url).pathname;
const node18 = Number(process.versions.node.split('.')[0]) < 20;

const everything = {
    title: 'server-everything',
    server: 'mcp-servers/everything',
    tools: ['echo', 'get-sum', 'get-env', 'trigger-long-running-operation'],
    start(name, port = 0) {
        const flags = node18 ? ['--experimental-global-webcrypto'] : [];
        const script = `${here}node_modules/@modelcontextprotocol/server-everything/dist/index.js`;
        const args = [...flags, '--require', `${here}loopback.cjs`, script, 'streamableHttp'];
        return start(process.execPath, args, { PORT: String(port), BACKEND: name });
    },
    // a call whose answer depends on its arguments
    question: n => ({ name: 'get-sum', arguments: { a: n, b: 1000 } }),
    answer: n => `The sum of ${n} and 1000 is ${n + 1000}.`,
    where: async session => JSON.parse(await session.call({ name: 'get-env' })).BACKEND,
    slow: { name: 'trigger-long-running-operation', arguments: { duration: 1.5, steps: 5 } },
    slowMs: 1500,
    slowSteps: 5,
    slowAnswer: /completed. Duration: 1.5 seconds/,
    long: { name: 'trigger-long-running-operation', arguments: { duration: 6, steps: 20 } },
    // subscribing makes this server send a log message that names the resource
    async provoke(session, tag) {
        await session.client.subscribeResource({ uri: `demo://resource/${tag}` }, { timeout: 5000 });
        return n => n.method === 'notifications/message' && JSON.stringify(n.params).includes(`demo://resource/${tag} `);
    },
    // to a session it does not know this server says 400, not 404
    unknown: { status: 400, code: -32000 }
};

export const kinds = { everything };
