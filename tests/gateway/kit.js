'use strict';
// kit.js - what the tests need: TAP, a gateway that is watched, HTTP requests, and bytes that are not quite HTTP.

const http = require('node:http');
const net = require('node:net');
const assert = require('node:assert');
const { execFile, spawn } = require('node:child_process');
const { Backend } = require('./backend.js');
const { Directory } = require('./directory.js');

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Waits until probe() is true; a test that waits longer than this has failed.
async function until(probe, what, ms = 10000) {
    const end = Date.now() + ms;
    while (!(await probe())) {
        if (Date.now() > end) throw new Error(`waited ${ms} ms for: ${what}`);
        await sleep(10);
    }
}

class Gateway {
    static binary = '';
    static running = new Set(); // their processes

    // Options as on the command line: {ttl: 1, origin: ['http://a', 'http://b'], verbose: true}
    static async start(backends, options = {}) {
        const g = new Gateway();
        const args = ['--listen', '127.0.0.1:0'];
        for (const b of backends) args.push('--backend', b.url ?? b);
        for (const [name, value] of Object.entries(options)) {
            for (const v of [value].flat()) args.push('--' + name, ...(v === true ? [] : [String(v)]));
        }
        g.out = '';
        g.err = '';
        const ASAN_OPTIONS = 'detect_leaks=1:quarantine_size_mb=32'; // so that its size says something
        g.process = spawn(Gateway.binary, args, { env: { ...process.env, ASAN_OPTIONS } });
        g.process.stdout.on('data', (d) => (g.out += d));
        g.process.stderr.on('data', (d) => (g.err += d));
        Gateway.running.add(g.process);
        g.exited = new Promise((done) => g.process.on('close', (code, signal) => done((g.status = code ?? signal))));
        g.exited.then(() => Gateway.running.delete(g.process));
        await until(() => g.out.includes('\n') || g.status !== undefined, 'the gateway to listen');
        const line = /^gateway: listening on (http:\/\/127\.0\.0\.1:(\d+)\/mcp)\n/.exec(g.out);
        if (!line) throw new Error(`it does not say where it listens: ${g.out}${g.err}`);
        g.url = line[1];
        g.port = Number(line[2]);
        g.agent = new http.Agent({ keepAlive: true, maxSockets: 2000 });
        return g;
    }

    // A gateway that is expected to end by itself.
    static ends(...args) {
        return new Promise((done) =>
            execFile(Gateway.binary, args, { timeout: 5000 }, (e, stdout, stderr) =>
                done({ status: e?.code ?? 0, stdout, stderr }),
            ),
        );
    }

    // Ends it as an operator would. Leaks and whatever else the sanitizers found show in the status and on stderr.
    async stop(signal = 'SIGTERM') {
        this.agent.destroy();
        if (this.status === undefined) this.process.kill(signal);
        await Promise.race([this.exited, sleep(8000)]);
        if (this.status === undefined) {
            this.process.kill('SIGKILL');
            throw new Error('it does not stop');
        }
        if (this.status !== 0 || /Sanitizer|runtime error/.test(this.err))
            throw new Error(`status ${this.status}\n${this.err}`);
    }

    // One request; resolves when the reply has ended. reply.complete is false if it broke off.
    request(method, { headers = {}, body, path = '/mcp', agent = this.agent } = {}) {
        return new Promise((resolve, reject) => {
            const req = http.request({ host: '127.0.0.1', port: this.port, path, method, headers, agent });
            req.on('error', reject);
            req.on('response', (res) => {
                const chunks = [];
                const end = () => {
                    const text = Buffer.concat(chunks).toString();
                    let json;
                    try {
                        json = JSON.parse(text);
                    } catch {}
                    resolve({ status: res.statusCode, headers: res.headers, text, json, complete: res.complete });
                };
                res.on('data', (d) => chunks.push(d));
                res.on('end', end);
                res.on('error', end);
            });
            req.end(body);
        });
    }

    post(message, headers = {}) {
        const body = typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message);
        const common = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
        return this.request('POST', { headers: { ...common, ...headers }, body });
    }

    call(sid, method = 'tools/list', id = 7, headers = {}) {
        return this.post({ jsonrpc: '2.0', id, method, params: {} }, { 'mcp-session-id': sid, ...headers });
    }

    async initialize(headers = {}) {
        return this.post(initialize, headers);
    }

    async session(headers = {}) {
        const reply = await this.initialize(headers);
        assert.equal(reply.status, 200, reply.text);
        return reply.headers['mcp-session-id'];
    }

    // A GET stream (or another request), read as it comes.
    stream(headers = {}, { method = 'GET', body } = {}) {
        return new Promise((resolve, reject) => {
            const req = http.request({ host: '127.0.0.1', port: this.port, path: '/mcp', method, headers });
            req.on('error', reject);
            req.on('response', (res) => {
                const s = { req, res, text: '', ended: false, status: res.statusCode };
                res.on('data', (d) => (s.text += d));
                res.on('close', () => (s.ended = true));
                res.on('error', () => {});
                req.removeListener('error', reject);
                req.on('error', () => {});
                resolve(s);
            });
            req.end(body);
        });
    }

    // Sends bytes as they are; resolves with all that came back when the connection closes or falls silent.
    raw(bytes, { silent = 300, end = false } = {}) {
        return new Promise((resolve) => {
            let text = '';
            let timer;
            const socket = net.connect(this.port, '127.0.0.1');
            const done = (closed) => {
                clearTimeout(timer);
                socket.destroy();
                resolve({ text, closed, status: Number(/^HTTP\/1\.[01] (\d+)/.exec(text)?.[1] ?? 0) });
            };
            const wait = () => {
                clearTimeout(timer);
                timer = setTimeout(() => done(false), silent);
            };
            socket.on('data', (d) => {
                text += d;
                wait();
            });
            socket.on('error', () => {});
            socket.on('close', () => done(true));
            socket.on('connect', () => {
                socket.write(bytes);
                if (end) socket.end();
                wait();
            });
        });
    }

    // A number from /metrics: metric('sessions'), metric('requests_total', 'kind="session",status="404"')
    async metric(name, labels = '') {
        const { text } = await this.request('GET', { path: '/metrics' });
        const line = `mcp_gateway_${name}${labels ? `{${labels}}` : ''} `;
        return Number(
            text
                .split('\n')
                .find((l) => l.startsWith(line))
                ?.slice(line.length) ?? 0,
        );
    }
}

// A test that hangs leaves its gateway behind.
process.on('exit', () => {
    for (const p of Gateway.running) p.kill('SIGKILL');
});

const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

// A stream of events without the ids that the gateway gave.
const plain = (text) => text.replace(/^id: .*\n/gm, '');

const tests = [];

// when: {waits: true} for one that waits for most of its time, and is in no hurry; {alone: true} for one that measures
// how fast something is.
function test(name, body, { waits, alone } = {}) {
    tests.push({ name, body, waits, alone });
}

// Backends, and how to start a gateway before them. With the option {directory: true} a directory comes after them.
async function startBackends(count, { waits, alone, ...options }) {
    const backends = [];
    for (let i = 0; i < count; i++) backends.push(await Backend.start(String.fromCharCode(65 + i)));
    const plain = (more) => Gateway.start(backends, { ...options, ...more });
    if (options.directory !== true) return { backends, start: plain };
    const directory = await Directory.start();
    const all = { ...options, directory: directory.url, 'principal-header': 'X-User' };
    return { backends: [...backends, directory], start: (more) => Gateway.start([], { ...all, ...more }) };
}

// A test with its own backends and gateway, which must stop cleanly at the end. `waits` and `alone` are options, too.
function scene(name, count, options, body) {
    test(name, async () => {
        const { backends, start } = await startBackends(count, options);
        const g = await start();
        try {
            await body(g, ...backends);
        } catch (e) {
            e.message += `\nstderr of the gateway: ${g.err}`;
            await g.stop().catch(() => {});
            throw e;
        } finally {
            for (const b of backends) b.close();
        }
        await g.stop();
    }, options);
}

let count = 0;
let failures = 0;

async function runOne({ name, body }) {
    const begin = Date.now();
    const limit = sleep(30000).then(() => Promise.reject(new Error('over its time limit')));
    const error = await Promise.race([body(), limit]).then(
        () => null,
        (e) => e,
    );
    console.log(`${error ? 'not ok' : 'ok'} ${++count} - ${name}`);
    if (error) console.log(`${error.message}\n${error.stack}`.replace(/^/gm, '# '));
    if (error) failures++;
    if (Date.now() - begin > 3000) console.log(`# took ${Date.now() - begin} ms`);
}

// Runs what was loaded since the last time: two at a time, besides those that wait, and then those that must be alone.
async function run(only = '') {
    const wanted = tests.splice(0).filter((t) => t.name.includes(only));
    const lane = async (list) => {
        while (list.length > 0) await runOne(list.shift());
    };
    const waiting = wanted.filter((t) => t.waits);
    const others = wanted.filter((t) => !t.waits && !t.alone);
    await Promise.all([others, others, waiting, waiting, waiting].map(lane));
    await lane(wanted.filter((t) => t.alone));
}

function skip(name, what) {
    console.log(`ok ${++count} - ${name} # SKIP install ${what}`);
}

run.end = () => {
    console.log(`1..${count}`);
    return failures === 0 && count > 0;
};

module.exports = { Gateway, assert, initialize, plain, run, scene, skip, sleep, startBackends, test, tests, until };
