'use strict';
// streams.js - clients that read streams of events, lose them, and come back.

const { assert, until } = require('./kit.js');

const VERSION = '2025-11-25';

// As a client of the SSE grammar would: [{id, type, data, retry}]. What is not ended by an empty line is no event.
function parse(text) {
    return text
        .split('\n\n')
        .slice(0, -1)
        .map((frame) => {
            const event = { type: 'message', data: undefined };
            for (const line of frame.split('\n')) {
                const [, field, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
                if (field === 'data') event.data = event.data === undefined ? value : `${event.data}\n${value}`;
                if (field === 'event') event.type = value;
                if (field === 'id' || field === 'retry') event[field] = value;
            }
            return event;
        })
        .filter((e) => e.data !== undefined || e.id !== undefined);
}

class Client {
    constructor(g, sid, headers = { 'mcp-protocol-version': VERSION }) {
        this.g = g;
        this.headers = { 'mcp-session-id': sid, accept: 'application/json, text/event-stream', ...headers };
        this.before = ''; // what earlier connections brought
    }

    async open(method, headers, body) {
        this.stream = await this.g.stream({ ...this.headers, ...headers }, { method, body });
        return this;
    }

    call(id = 7, method = 'work') {
        return this.open('POST', {}, JSON.stringify({ jsonrpc: '2.0', id, method, params: {} }));
    }

    get() {
        return this.open('GET', {});
    }

    get status() {
        return this.stream.status;
    }

    get ended() {
        return this.stream.ended;
    }

    get complete() {
        return this.stream.ended && this.stream.res.complete;
    }

    // All of them, over all connections.
    get events() {
        return parse(this.before).concat(parse(this.stream.text));
    }

    get messages() {
        return this.events.filter((e) => e.data);
    }

    get data() {
        return this.messages.map((e) => e.data);
    }

    get lastId() {
        return this.events.filter((e) => e.id !== undefined).at(-1)?.id;
    }

    // The connection breaks. What came of an event that was under way is lost with it.
    cut() {
        this.before += this.stream.text.slice(0, this.stream.text.lastIndexOf('\n\n') + 2);
        this.stream.text = '';
        this.stream.req.destroy();
        return this;
    }

    // At any gateway, after the event that was seen last.
    async resume(g = this.g, id = this.lastId) {
        this.g = g;
        return this.open('GET', { 'last-event-id': id });
    }

    async has(count, ms) {
        await until(() => this.messages.length >= count, `${count} messages, have ${this.data}`, ms);
        return this;
    }

    async end(ms) {
        await until(() => this.ended, 'the end of the stream', ms);
        assert.ok(this.complete, 'it broke off');
        return this;
    }
}

// A backend's stream, step by step.
class Source {
    constructor(res, id) {
        this.res = res;
        this.id = id; // of the request
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.flushHeaders();
    }

    send(n, id) {
        this.res.write(`${id === undefined ? '' : `id: ${id}\n`}data: {"n":${n}}\n\n`);
        return this;
    }

    answer(id) {
        const data = JSON.stringify({ jsonrpc: '2.0', id: this.id, result: {} });
        this.res.end(`${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`);
        return this;
    }

    break() {
        this.res.socket.destroy();
    }
}

// Every POST of "work" and every GET is answered with a stream, which goes into the list that is returned.
function sources(backend) {
    const list = [];
    backend.hook = ({ method, message, headers }, res) => {
        if (!backend.sessions.has(headers['mcp-session-id'])) return false;
        if (method !== 'GET' && message?.method !== 'work') return false;
        list.push(Object.assign(new Source(res, message?.id), { method, headers }));
        return true;
    };
    return list;
}

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => `{"n":${from + i}}`);
const answerTo = (id = 7) => JSON.stringify({ jsonrpc: '2.0', id, result: {} });

module.exports = { Client, Source, VERSION, answerTo, parse, range, sources };
