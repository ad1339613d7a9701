// The two generations of the official SDK behind one shape, so that every test is written once.

import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { sleep, until } from './tap.mjs';

export const modern = '2026-07-28';

const info = { name: 'mcpsess-tests', version: '1.0.0' };
const reconnectionOptions = {
    initialReconnectionDelay: 100,
    maxReconnectionDelay: 500,
    reconnectionDelayGrowFactor: 1.5,
    maxRetries: 10
};

export const v1 = {
    name: '1.x',
    client: () => new Client1(info, { capabilities: {} }),
    transport: (url, options) => new Transport1(url, options),
    call: (client, params, options) => client.callTool(params, undefined, options)
};

function generation2(sdk, name, versionNegotiation) {
    return {
        name,
        client: () => new sdk.Client(info, { capabilities: {}, versionNegotiation }),
        transport: (url, options) => new sdk.StreamableHTTPClientTransport(url, options),
        call: (client, params, options) => client.callTool(params, options)
    };
}

// The 2.x client in its three ways of negotiating. It needs Node 20.
export async function load2() {
    const sdk = await import('@modelcontextprotocol/client');
    return {
        legacy: generation2(sdk, '2.x', { mode: 'legacy' }),
        auto: generation2(sdk, '2.x auto', { mode: 'auto' }),
        pinned: generation2(sdk, '2.x pinned', { mode: { pin: modern } })
    };
}

// What went over the wire, as the client saw it. With several URLs each request goes to the next of them.
function recorder(exchanges, urls) {
    let turn = 0;
    return async (_, init = {}) => {
        const url = urls[turn++ % urls.length];
        const sent = new Headers(init.headers);
        const message = typeof init.body === 'string' ? JSON.parse(init.body) : undefined;
        const exchange = {
            origin: new URL(url).origin,
            method: init.method ?? 'GET',
            rpc: message?.method ?? '',
            session: sent.get('mcp-session-id'),
            version: sent.get('mcp-protocol-version'),
            lastEventId: sent.get('last-event-id')
        };
        exchanges.push(exchange);
        const response = await fetch(url, init);
        exchange.status = response.status;
        exchange.given = response.headers.get('mcp-session-id');
        if (!response.ok) exchange.error = await response.clone().text();
        return response;
    };
}

export class Session {
    constructor(generation, url, sessionId) {
        this.generation = generation;
        this.exchanges = [];
        this.notifications = [];
        this.errors = [];
        const urls = [url].flat();
        const fetch = recorder(this.exchanges, urls);
        this.transport = generation.transport(new URL(urls[0]), { fetch, sessionId, reconnectionOptions });
        this.client = generation.client();
        this.client.onerror = error => this.errors.push(error.message);
        this.client.fallbackNotificationHandler = async notification => {
            this.notifications.push(notification);
        };
    }

    get id() {
        return this.transport.sessionId;
    }

    sent(method, rpc = '') {
        return this.exchanges.filter(each => each.method === method && each.rpc === rpc);
    }

    // Calls a tool; the text of its answer.
    async call({ name, arguments: args = {}, ...options }) {
        const all = { timeout: 8000, ...options };
        const result = await this.generation.call(this.client, { name, arguments: args }, all);
        if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
        return result.content[0].text;
    }

    ping() {
        return this.client.ping({ timeout: 5000 });
    }

    // The server's own messages arrive on the GET stream, which the client opens by itself after initialising.
    streaming(already = 0) {
        const open = () => this.sent('GET').filter(each => each.status === 200).length > already;
        return until(open, 'the GET stream opening');
    }

    notified(test, what, ms) {
        return until(() => this.notifications.find(test), what, ms);
    }

    // A stream that was lost is opened again, by the client or by a gateway; what is said before that is not heard.
    async heardAgain(kind) {
        const before = this.notifications.length;
        for (let flag = false; ; flag = !flag) {
            const said = await kind.provoke(this, flag);
            const heard = () => this.notifications.slice(before).find(said);
            if (await until(heard, 'the notification after', 1000).catch(() => {})) return;
        }
    }

    async close() {
        if (this.id !== undefined) await this.transport.terminateSession().catch(() => {});
        await this.client.close();
    }

    trace() {
        const line = each =>
            `${each.origin} ${each.method} ${each.rpc} ${each.status ?? 'unanswered'}` +
            (each.session ? ` session=${each.session}` : '') +
            (each.version ? ` version=${each.version}` : '') +
            (each.lastEventId ? ` last-event-id=${each.lastEventId}` : '') +
            (each.error ? `\n  ${each.error}` : '');
        return [`client ${this.generation.name}:`, ...this.exchanges.slice(-30).map(line), ...this.errors.slice(-5)]
            .join('\n');
    }
}

// A connected client, closed at the end of test t. With an id it takes up that session without initialising. url may
// be several, for requests in turn.
export async function connect(t, generation, url, sessionId) {
    const session = new Session(generation, url, sessionId);
    t.explain(() => session.trace());
    t.after(() => session.close());
    const prior = sessionId === undefined ? {} : { prior: { kind: 'legacy' } };
    await session.client.connect(session.transport, { timeout: 8000, ...prior });
    return session;
}

// When each progress notification of a call came, and when its answer.
export async function timed(session, tool) {
    const progress = [];
    const text = await session.call({ ...tool, onprogress: p => progress.push({ ...p, at: performance.now() }) });
    const answered = performance.now();
    await sleep(50);
    return { text, progress, answered };
}
