// The MCP C# SDK's event stream store, played: its commands, in its order, on the same keys, through a cache that does
// what .NET's RedisCache does. Written from what it is known to send and to hold, and nothing of ours.

const UNIX = 621355968000000000n; // 1970 in ticks

// A string as System.Text.Json writes it by default.
export function netString(text) {
    const letters = { '\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r', '\\': '\\' };
    const escape = unit => '\\u' + unit.toString(16).toUpperCase().padStart(4, '0');
    let out = '"';
    for (let n = 0; n < text.length; n++) {
        const c = text[n];
        const unit = text.charCodeAt(n);
        if (letters[c]) out += '\\' + letters[c];
        else if (unit < 0x20 || unit > 0x7e || '"&\'+<>`'.includes(c)) out += escape(unit);
        else out += c;
    }
    return out + '"';
}

export function netJson(value) {
    if (typeof value === 'string') return netString(value);
    if (Array.isArray(value)) return `[${value.map(netJson).join(',')}]`;
    if (value === null || typeof value !== 'object') return JSON.stringify(value);
    const members = Object.entries(value).map(([name, member]) => `${netString(name)}:${netJson(member)}`);
    return `{${members.join(',')}}`;
}

export const b64 = text => Buffer.from(text).toString('base64');
export const eventId = (session, stream, sequence) => `${b64(session)}:${b64(stream)}:${sequence}`;

// Microsoft.Extensions.Caching.StackExchangeRedis. TTLs in ms.
export class Cache {
    constructor(redis, instance = '', now = () => Date.now()) {
        Object.assign(this, { redis, instance, now });
    }

    send(...words) {
        return this.redis.sendCommand(words.map(String));
    }

    // Two commands, in one pipeline, of which the second may never arrive.
    async set(key, data, { sliding, absolute }, dies = false) {
        const ticks = BigInt(this.now()) * 10000n + UNIX;
        const absexp = absolute === undefined ? -1n : ticks + BigInt(absolute) * 10000n;
        const sldexp = sliding === undefined ? -1n : BigInt(sliding) * 10000n;
        const ttl = Math.trunc(Math.min(sliding ?? Infinity, absolute ?? Infinity) / 1000);
        const sent = [this.send('HMSET', this.instance + key, 'absexp', absexp, 'sldexp', sldexp, 'data', data)];
        if (!dies && ttl !== Infinity) sent.push(this.send('EXPIRE', this.instance + key, ttl));
        await Promise.all(sent);
    }

    async get(key) {
        const [absexp, sldexp, data] = await this.send('HMGET', this.instance + key, 'absexp', 'sldexp', 'data');
        if (data === null) return null;
        if (sldexp !== '-1') {
            let left = Number(BigInt(sldexp) / 10000n);
            if (absexp !== '-1') left = Math.min(left, Number((BigInt(absexp) - UNIX) / 10000n) - this.now());
            if (left % 1000 === 0) await this.send('EXPIRE', this.instance + key, left / 1000);
            else await this.send('PEXPIRE', this.instance + key, left);
        }
        return data;
    }

    remove(key) {
        return this.send('UNLINK', this.instance + key);
    }
}

export const lives = {
    event: { sliding: 1800000, absolute: 7200000 },
    meta: { sliding: 3600000, absolute: 14400000 }
};

export const keys = {
    event: id => `mcp:sse:v1:event:${id}`,
    meta: (session, stream) => `mcp:sse:v1:meta:${b64(session)}:${b64(stream)}`,
    index: session => `mcp:sse:v1:idx:${b64(session)}`,
    writer: (session, stream) => `mcpsess:sse:v1:writer:${b64(session)}:${b64(stream)}`
};

export class Writer {
    sequence = 0;
    mode = 'Streaming';
    disposed = false;

    constructor(cache, session, stream, options = {}) {
        Object.assign(this, { cache, session, stream, lives, ...options });
    }

    event({ type = 'message', data, retry }, id) {
        const members = { eventType: type, eventId: id };
        if (retry !== undefined) members.reconnectionIntervalMs = retry;
        if (data !== undefined) members.data = data;
        return netJson(members);
    }

    metadata() {
        const mode = this.numbers ? Number(this.mode === 'Polling') : this.mode;
        return netJson({ mode, isCompleted: this.disposed, lastSequence: this.sequence });
    }

    update() {
        return this.cache.set(keys.meta(this.session, this.stream), this.metadata(), this.lives.meta);
    }

    // Of the index nobody holds a lock: read, and written.
    async enter() {
        const key = keys.index(this.session);
        const index = JSON.parse((await this.cache.get(key)) ?? '{"streams":[]}');
        const entry = index.streams.find(each => each.streamId === this.stream);
        if (entry) entry.lastSequence = this.sequence;
        else index.streams.push({ streamId: this.stream, lastSequence: this.sequence });
        await this.cache.set(key, netJson(index), this.lives.meta);
    }

    async write(item) {
        if (item.id !== undefined) return item.id;
        const id = eventId(this.session, this.stream, ++this.sequence);
        await this.cache.set(keys.event(id), this.event(item, id), this.lives.event);
        await this.update();
        if (this.index) await this.enter();
        return id;
    }

    setMode(mode) {
        this.mode = mode;
        return this.update();
    }

    dispose() {
        this.disposed = true;
        return this.update();
    }
}

// What a reader of the original is handed: its type, data and retry, and the id that is stored.
const handed = stored => ({
    type: stored.eventType ?? undefined,
    data: stored.data ?? undefined,
    retry: stored.reconnectionIntervalMs ?? undefined,
    id: stored.eventId
});

export class Reader {
    static async open(cache, id) {
        const [session, stream, sequence] = id.split(':');
        const reader = new Reader();
        const text = part => Buffer.from(part, 'base64').toString();
        Object.assign(reader, { cache, session: text(session), stream: text(stream), at: Number(sequence) + 1 });
        reader.metadata = await reader.look();
        return reader.metadata && reader;
    }

    async look() {
        const data = await this.cache.get(keys.meta(this.session, this.stream));
        const members = data && JSON.parse(data);
        return members && { ...members, polling: members.mode === 'Polling' || members.mode === 1 };
    }

    // What there is by now.
    async available() {
        const events = [];
        for (; this.at <= this.metadata.lastSequence; this.at++) {
            const id = eventId(this.session, this.stream, this.at);
            const data = await this.cache.get(keys.event(id));
            if (data === null) {
                throw new Error(`SSE event with ID '${id}' was not found in the cache. The event may have expired.`);
            }
            events.push(handed(JSON.parse(data)));
        }
        return events;
    }

    // All of it, to its end.
    async read(interval = 50) {
        const events = [];
        for (;;) {
            events.push(...(await this.available()));
            if (this.metadata.polling || this.metadata.isCompleted) return events;
            await new Promise(resolve => setTimeout(resolve, interval));
            this.metadata = await this.look();
            if (!this.metadata) throw new Error('Stream metadata was not found in the cache.');
        }
    }
}

// -> how many events were removed
export async function deleteSession(cache, session) {
    const index = await cache.get(keys.index(session));
    if (index === null) return 0;
    let removed = 0;
    for (const { streamId, lastSequence } of JSON.parse(index).streams) {
        for (let n = 1; n <= lastSequence; n++) {
            removed += await cache.remove(keys.event(eventId(session, streamId, n)));
        }
        await cache.remove(keys.meta(session, streamId));
    }
    await cache.remove(keys.index(session));
    return removed;
}
