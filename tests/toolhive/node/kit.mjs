// The three that meet at one Redis: a process of ours, ToolHive's commands from a Node client, and a relay before
// either that records what it sends.

import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { createClient } from '@redis/client';
import { within } from './tap.mjs';

// -- ours: build/toolhive/peer, told what to do a line at a time --

const percent = c => '%' + c.toString(16).toUpperCase().padStart(2, '0');
const plain = c => c > 0x20 && c < 0x7f && c !== 0x25;
const escaped = word => Array.from(Buffer.from(word), c => (plain(c) ? String.fromCharCode(c) : percent(c))).join('');
const unescaped = word =>
    Buffer.from(word.replace(/%(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString();

export class Peer {
    waiting = [];
    text = '';
    errors = '';

    constructor(program, socket) {
        this.child = spawn(program, [socket, 'mcpsess', 'secret'], { stdio: 'pipe' });
        this.child.stdout.on('data', data => this.heard(String(data)));
        this.child.stderr.on('data', data => (this.errors += data));
        this.child.stdin.on('error', () => {});
        this.ended = new Promise(resolve => this.child.once('close', resolve));
        this.ended.then(code => this.waiting.forEach(w => w.reject(new Error(`it ended (${code}): ${this.errors}`))));
    }

    heard(text) {
        const lines = (this.text + text).split('\n');
        this.text = lines.pop();
        for (const line of lines) this.waiting.shift().resolve(line.split(' ').map(unescaped));
    }

    // The words of the answer; the first one is the name of a code.
    ask(...words) {
        const answer = new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
        this.child.stdin.write(words.map(word => escaped(String(word))).join(' ') + '\n');
        return within(10000, answer, words[0]);
    }

    async layout(layout) {
        this.name = layout.name;
        await this.ask('layout', layout.name, layout.ttl, layout.prefix);
    }

    // A record at hand: new ID STATE CREATED UPDATED ISSUER SUBJECT, then its pairs.
    async make(id, { state = 1, created = 0, updated = 0, issuer = '', subject = '', pairs = {} } = {}) {
        const codes = [await this.ask('new', id, state, created, updated, issuer, subject)];
        for (const [key, value] of Object.entries(pairs)) codes.push(await this.ask('put', key, value));
        const bad = codes.find(code => code[0] !== 'OK');
        if (bad) throw new Error(`no such record: ${bad}`);
    }

    async json() {
        const [code, text] = await this.ask('json');
        return code === 'OK' ? text : code;
    }

    async code(...words) {
        return (await this.ask(...words))[0];
    }

    async stop() {
        this.child.stdin.end();
        const code = await this.ended;
        if (code !== 0) throw new Error(`it ended (${code}): ${this.errors}`);
    }
}

// What load, peek, show and decode answer.
export function record([code, id, state, created, updated, issuer, subject, ...rest]) {
    if (code !== 'OK') return code;
    const pairs = {};
    for (let n = 0; n < rest.length; n += 2) pairs[rest[n]] = rest[n + 1];
    return { id, state: Number(state), created: Number(created), updated: Number(updated), issuer, subject, pairs };
}

// -- ToolHive's commands --

export const layouts = {
    vmcp: { name: 'vmcp', prefix: 'thv:vmcp:session:', ttl: 1800000 },
    proxy: { name: 'proxy', prefix: 'thv:proxy:session:', ttl: 7200000 },
    odd: { name: 'vmcp', prefix: 'thv:odd:', ttl: 1234567 }
};

export class ToolHive {
    constructor(redis, { prefix, ttl }) {
        this.key = id => prefix + id;
        this.ttl = ttl % 1000 === 0 ? ['ex', String(ttl / 1000)] : ['px', String(ttl)];
        this.send = (...words) => redis.sendCommand(words);
    }

    create = (id, json) => this.send('set', this.key(id), json, ...this.ttl, 'nx');
    update = (id, json) => this.send('set', this.key(id), json, ...this.ttl, 'XX');
    store = (id, json) => this.send('set', this.key(id), json, ...this.ttl);
    load = id => this.send('getex', this.key(id), ...this.ttl);
    delete = id => this.send('del', this.key(id));
}

// An object of strings as Go's encoding/json writes it.
export function goJson(strings) {
    const sorted = Object.keys(strings).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const text = '{' + sorted.map(key => JSON.stringify(key) + ':' + JSON.stringify(strings[key])).join(',') + '}';
    return text.replace(/[<>&\u2028\u2029]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}

export async function client(socket) {
    const redis = createClient({ socket: { path: socket, tls: false } });
    redis.on('error', () => {});
    await within(5000, redis.connect(), 'connecting to redis-server');
    return redis;
}

// -- who said what --

export class Relay {
    said = '';
    sockets = new Set();

    static async start(path, socket) {
        const relay = new Relay();
        relay.server = createServer(near => {
            const far = connect(socket);
            near.on('data', data => (relay.said += data.toString('latin1')));
            near.pipe(far).pipe(near);
            for (const end of [near, far]) {
                relay.sockets.add(end);
                end.on('error', () => [near, far].forEach(each => each.destroy()));
            }
        });
        await new Promise(resolve => relay.server.listen(path, resolve));
        return relay;
    }

    // The bytes that were sent while doing this.
    async during(what) {
        const from = this.said.length;
        await what();
        return this.said.slice(from);
    }

    stop() {
        for (const each of this.sockets) each.destroy();
        this.server.close();
    }
}
