'use strict';
// backend.js - a backend that does what a test tells it to. Real servers are for other suites; this one makes faults.

const http = require('node:http');

class Backend {
    static async start(name) {
        const b = new Backend();
        b.name = name;
        b.sessions = new Set();
        b.count = 0; // sessions ever made
        b.seen = []; // requests: {method, headers, message, body, closed}
        b.streams = []; // open GET streams
        b.port = 0;
        b.hook = null; // async (request, res) => true: answered
        await b.open();
        b.url = `http://127.0.0.1:${b.port}/mcp`;
        return b;
    }

    open() {
        this.server = http.createServer((req, res) => this.take(req, res));
        this.sockets = new Set();
        this.server.on('connection', (s) => {
            this.sockets.add(s);
            s.on('close', () => this.sockets.delete(s));
            s.on('error', () => {});
        });
        return new Promise((done) =>
            this.server.listen(this.port, '127.0.0.1', () => {
                this.port = this.server.address().port;
                done();
            }),
        );
    }

    // As a process that dies: every connection breaks, nothing listens, no session is left.
    kill() {
        this.server.close();
        for (const s of this.sockets) s.resetAndDestroy();
        this.sessions.clear();
        this.streams = [];
    }

    close() {
        this.kill();
    }

    methods() {
        return this.seen.map((r) => r.message?.method ?? r.method);
    }

    take(req, res) {
        const chunks = [];
        req.on('data', (d) => chunks.push(d));
        req.on('error', () => {});
        res.on('error', () => {});
        req.on('end', async () => {
            const body = Buffer.concat(chunks).toString();
            const request = { method: req.method, url: req.url, headers: req.headers, body, res, closed: false };
            try {
                request.message = JSON.parse(body);
            } catch {}
            res.on('close', () => (request.closed = true));
            this.seen.push(request);
            if (this.hook && (await this.hook(request, res))) return;
            this.answer(request, res);
        });
    }

    json(res, status, value, headers = {}) {
        res.writeHead(status, { 'content-type': 'application/json', ...headers });
        res.end(JSON.stringify(value));
    }

    answer({ method, headers, message }, res) {
        const sid = headers['mcp-session-id'];
        if (message?.method === 'initialize') return this.initialize(message, res);
        if (headers['mcp-protocol-version'] === '2026-07-28') return this.result(message, res);
        if (!this.sessions.has(sid)) {
            return this.json(res, 404, {
                jsonrpc: '2.0',
                error: { code: -32001, message: 'Session not found' },
                id: null,
            });
        }
        if (method === 'DELETE') {
            this.sessions.delete(sid);
            return res.writeHead(200).end();
        }
        if (method === 'GET') return this.stream(res);
        if (message?.id === undefined && !Array.isArray(message)) return res.writeHead(202).end();
        return this.result(message, res, sid);
    }

    initialize(message, res) {
        const sid = `${this.name}-session-${++this.count}`;
        this.sessions.add(sid);
        const result = {
            protocolVersion: '2025-11-25',
            capabilities: {},
            serverInfo: { name: this.name, version: '1' },
        };
        this.json(res, 200, { jsonrpc: '2.0', id: message.id, result }, { 'Mcp-Session-Id': sid });
    }

    result(message, res, sid) {
        this.json(res, 200, { jsonrpc: '2.0', id: message?.id, result: { backend: this.name, sid } });
    }

    stream(res) {
        res.writeHead(200, {
            'content-type': 'text/event-stream',
            'cache-control': 'no-cache',
            'x-accel-buffering': 'no',
        });
        res.flushHeaders();
        this.streams.push(res);
    }
}

module.exports = { Backend };
