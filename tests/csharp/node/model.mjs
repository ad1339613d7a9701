// One stream at a time against a naive reference: writers of ours that take over from each other, are late, lie; a .NET
// writer that goes on or begins again; readers of both; events and logs that expire; fresh ones, deletes. Every answer
// must be the one that the reference gives, and what Redis holds must be what it has.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Reader, Writer, b64, eventId, keys, netJson } from './dotnet.mjs';

const UNIT = 10000;
export const TTL = { event: 20 * UNIT, eventMax: 50 * UNIT, log: 30 * UNIT, logMax: 60 * UNIT, lease: 3 * UNIT };
const lives = {
    event: { sliding: TTL.event, absolute: TTL.eventMax },
    meta: { sliding: TTL.log, absolute: TTL.logMax }
};
const EVENTS = 8; // bound of a log

// A small generator: the same seed, the same run.
function generator(seed) {
    let state = seed >>> 0 || 1;
    return below => {
        state ^= state << 13;
        state >>>= 0;
        state ^= state >>> 17;
        state ^= state << 5;
        state >>>= 0;
        return state % below;
    };
}

export class Model {
    seen = {};
    aged = 0;

    constructor({ peer, redis, cache, seed }) {
        Object.assign(this, { peer, redis, cache, below: generator(seed) });
        this.send = (...words) => redis.sendCommand(words.map(String));
        this.begin();
    }

    begin() {
        this.session = randomBytes(6).toString('hex');
        this.stream = ['1', '__get__', '', 'a+b'][this.below(4)];
        this.log = { n: 0, b: 0, events: new Map() }; // f t u k o, m, wUntil: as the layout has them
        this.hands = [1, 2, 3].map(n => ({ token: `t${n}`, who: n === 3 ? 'bob' : 'alice', fence: 0, last: 0 }));
        this.serial = this.most = 0;
        this.dotnet = null;
    }

    count(what) {
        this.seen[what] = (this.seen[what] ?? 0) + 1;
    }

    // -- time: that of the server goes on; what shall have gone by is taken off every TTL and instant --

    now() {
        return Date.now() + this.aged;
    }

    async age(ms) {
        const script = `for _,k in ipairs(redis.call('KEYS','*')) do local n=redis.call('PTTL',k)
            for _,f in ipairs({'u','k'}) do local u=redis.call('HGET',k,f)
            if u then redis.call('HSET',k,f,u-ARGV[1]) end end
            local a=redis.call('HGET',k,'absexp')
            if a then redis.call('HSET',k,'absexp',string.format('%.0f',a-ARGV[1]*10000)) end
            if n>=0 then redis.call('PEXPIRE',k,n-ARGV[1]) end end`;
        await this.send('EVAL', script, 0, ms);
        this.aged += ms;
    }

    // Whatever comes to pass within so short a time comes to pass now.
    async settle() {
        for (;;) {
            const now = this.now();
            const { u, k, wUntil, m, events } = this.log;
            const kept = [...(m ? [m] : []), ...events.values()];
            const halves = [TTL.event / 2, TTL.log / 2];
            const instants = [u, k, wUntil, k && k - TTL.log / 2];
            for (const each of kept) {
                instants.push(each.until, ...halves.map(half => each.until - half), each.abs);
                instants.push(2 * each.until - each.abs); // where half of what it may live yet is left
            }
            if (!instants.some(at => at && Math.abs(at - now) < 1500)) break;
            await this.age(2000);
        }
        this.expire();
    }

    expire() {
        const now = this.now();
        const log = this.log;
        if (log.m && log.m.until <= now) log.m = null;
        for (const [n, each] of log.events) if (each.until <= now) log.events.delete(n);
        if (log.wUntil && log.wUntil <= now) {
            this.log = { n: 0, b: 0, events: log.events, m: log.m };
        }
        if (!this.log.wUntil) this.most = 0; // nobody remembers
    }

    // -- what there is --

    get live() {
        const { m, f, n, b, k } = this.log;
        return Boolean(m || (f && n === b && k > this.now()));
    }

    get last() {
        return this.log.m ? this.log.m.l : this.log.n;
    }

    get first() {
        let at = this.last;
        while (at > this.log.b && this.last - at < EVENTS && this.log.events.has(at)) at--;
        return at + 1;
    }

    foreign(who) {
        return this.live && this.log.o && this.log.o !== who;
    }

    store(kind) {
        const [sliding, absolute] = kind === 'event' ? [TTL.event, TTL.eventMax] : [TTL.log, TTL.logMax];
        return { until: this.now() + Math.min(sliding, absolute), abs: this.now() + absolute, sliding };
    }

    held() {
        Object.assign(this.log, { u: this.now() + TTL.lease, k: this.now() + TTL.log });
        this.log.wUntil = this.now() + TTL.logMax + TTL.lease;
    }

    wipe(r) {
        const log = this.log;
        const top = Math.max(this.last, log.n);
        for (const n of [...log.events.keys()]) if (n > top - 999 && n <= top) log.events.delete(n);
        log.m = null;
        log.n = log.b = r;
    }

    // -- requests of ours --

    async ask(who, ...words) {
        if (this.who !== who) {
            await this.peer.ask('who', who === '' ? '' : 'iss', who);
            this.who = who;
        }
        return this.peer.ask(words[0], this.session, this.stream, ...words.slice(1));
    }

    async open(hand, fresh) {
        const answer = await this.ask(hand.who, 'open', hand.token, Number(fresh), TTL.lease);
        const log = this.log;
        const now = this.now();
        const busy = log.t && log.u > now && log.t !== hand.token;
        if (this.foreign(hand.who)) return assert.equal(answer[0], 'MISS');
        if (busy) return assert.equal(answer[0], 'BUSY');
        if (log.m?.d && !fresh) return assert.equal(answer[0], 'END');
        const mine = log.t === hand.token && log.u > now;
        const anew = !this.live || fresh || this.last < log.n;
        if (anew && (log.m || log.n > log.b)) {
            const top = Math.max(this.last, log.n);
            this.wipe(top > log.b ? top + 1 : log.b);
            this.count('begun anew');
        }
        assert.deepEqual([answer[0], Number(answer[2]), answer[3]], ['OK', this.last, log.m?.p ? '0' : '1']);
        const fence = Number(answer[1]);
        if (mine) assert.equal(fence, log.f);
        else assert.ok(fence > (log.f ?? 0));
        Object.assign(log, { f: fence, t: hand.token, n: this.last, o: anew || !log.o ? hand.who : log.o });
        this.held();
        Object.assign(hand, { fence, last: this.last });
        this.count('opened');
    }

    // -> the answer, where it is decided
    writes(hand, known) {
        if (!this.live || this.foreign(hand.who)) return 'MISS';
        if (hand.fence !== this.log.f) return 'FENCED';
        return known > this.last || this.last < this.log.n ? 'LOST_TAIL' : null;
    }

    lostTail(hand, answer, known, repeated) {
        const log = this.log;
        const before = log.m;
        if (!repeated) {
            this.wipe(Math.max(known, this.last, log.n) + 65536);
            if (before) log.m = { l: log.n, p: before.p, d: false, ...this.store('meta') };
            this.held();
        }
        assert.deepEqual(answer, ['LOST_TAIL', String(this.last)]);
        hand.last = this.last;
        this.count('lost tails');
    }

    async append(hand) {
        const what = this.below(20);
        let sequence = hand.last + 1;
        let confirmed = hand.last;
        let data = `e${++this.serial}`;
        if (what < 3 && hand.last > 0) [sequence, confirmed] = [hand.last, hand.last - 1];
        if (what < 2 && this.log.events.has(sequence)) data = this.log.events.get(sequence).data;
        if (what === 3) sequence += 1 + this.below(3);
        if (what === 4 && this.below(3) === 0) [sequence, confirmed] = [hand.last + 3, hand.last + 2];
        const words = [hand.fence, sequence, confirmed, '-', '-', netJson(data)];
        const answer = await this.ask(hand.who, 'append', ...words);
        const log = this.log;
        const refusal = this.writes(hand, confirmed);
        this.count(answer[0]);
        if (refusal === 'LOST_TAIL') return this.lostTail(hand, answer, confirmed, false);
        if (refusal) return assert.equal(answer[0], refusal);
        if (sequence <= log.b) return this.lostTail(hand, answer, confirmed, true);
        if (sequence <= this.last) {
            const stored = log.events.get(sequence);
            return assert.deepEqual(answer, [!stored || stored.data === data ? 'DUP' : 'LOST', String(this.last)]);
        }
        if (sequence > this.last + 1 || log.m?.d) return assert.deepEqual(answer, ['LOST', String(this.last)]);
        assert.deepEqual(answer, ['OK', String(sequence)]);
        assert.ok(sequence > this.most, 'an id of ours that stood for an event stands for another');
        this.most = sequence;
        this.put(sequence, data, log.m?.p ?? false);
        log.n = sequence;
        if (sequence - EVENTS > log.b) log.events.delete(sequence - EVENTS);
        this.held();
        hand.last = sequence;
    }

    put(sequence, data, p) {
        this.log.events.set(sequence, { data, ...this.store('event') });
        this.log.m = { l: sequence, p, d: false, ...this.store('meta') };
    }

    async set(hand) {
        const [polling, done] = [this.below(2) === 1, this.below(5) === 0];
        const known = hand.last + (this.below(20) === 0 ? 1 : 0);
        const answer = await this.ask(hand.who, 'set', hand.fence, known, Number(polling), Number(done));
        const log = this.log;
        const refusal = this.writes(hand, known);
        if (refusal === 'LOST_TAIL') return this.lostTail(hand, answer, known, false);
        if (refusal) return assert.equal(answer[0], refusal);
        if (known < log.b) return this.lostTail(hand, answer, known, true);
        assert.equal(answer[0], 'OK');
        this.count('set');
        if (log.m?.d) return undefined;
        const half = log.m && (log.m.until - this.now()) * 2 < Math.min(TTL.log, TTL.logMax);
        const last = this.last;
        if (!log.m || log.m.p !== polling || done || half) log.m = { ...log.m, ...this.store('meta') };
        Object.assign(log.m, { l: last, p: polling, d: done });
        log.n = last;
        this.held();
        if (done) log.u = 0;
        return undefined;
    }

    // What opens a replay slides what has less than half of its life left.
    slide(each, ttl, need) {
        const left = each.until - this.now();
        if (left * 2 >= ttl && left >= need) return left;
        const most = Math.min(each.sliding, each.abs - this.now());
        if (most > left && (left * 2 < most || left < need)) each.until = this.now() + most;
        return each.until - this.now();
    }

    async range(who) {
        const keeps = this.below(2) === 1;
        const after = Math.max(0, this.last - this.below(EVENTS + 3) + (this.below(10) === 0 ? 2 : 0));
        const most = this.below(3);
        const [code, first, last, , , , , ...got] = await this.ask(who, 'range', 0, after, most, Number(keeps));
        if (!this.live || this.foreign(who)) return assert.equal(code, 'MISS');
        const upTo = most === 0 ? this.last : Math.min(this.last, after + most);
        const wanted = Array.from({ length: Math.max(0, upTo - after) }, (_, n) => after + 1 + n);
        const bad = after > this.last || after < this.log.b;
        const missing = wanted.some(n => !this.log.events.has(n));
        if (!bad && keeps) this.keep(after, upTo);
        this.count(bad || missing ? 'gaps' : 'replayed');
        const gap = ['GAP', String(this.first), String(this.last)];
        if (bad || missing) return assert.deepEqual([code, first, last], gap);
        assert.deepEqual([code, last], ['OK', String(this.last)]);
        const data = got.filter((_, n) => n % 3 === 2).map(text => JSON.parse(text));
        return assert.deepEqual(data, wanted.map(n => this.log.events.get(n).data));
    }

    keep(after, upTo) {
        const log = this.log;
        let need = 0;
        for (let n = after + 1; n <= upTo; n++) {
            const each = log.events.get(n);
            if (!each) return;
            need = Math.max(need, this.slide(each, TTL.event, 0));
        }
        if (log.m) this.slide(log.m, TTL.log, need);
        else if ((log.k - this.now()) * 2 < TTL.log) log.k = this.now() + TTL.log;
    }

    async state(who) {
        const [code, first, last, streaming, done, left] = await this.ask(who, 'state');
        if (!this.live || this.foreign(who)) return assert.equal(code, 'MISS');
        const m = this.log.m;
        assert.deepEqual([code, Number(first), Number(last)], ['OK', this.first, this.last]);
        assert.deepEqual([streaming, done], [m?.p ? '0' : '1', m?.d ? '1' : '0']);
        return assert.equal(Number(left) > 0, (this.log.u ?? 0) > this.now());
    }

    async del(who) {
        const [code, count] = await this.ask(who, 'del');
        const log = this.log;
        assert.equal(code, 'OK');
        if (log.o && log.o !== who) return assert.equal(count, '0');
        const most = Math.max(log.m?.l ?? 0, log.n);
        const top = log.m ? log.m.l : log.n;
        let gone = 0;
        for (let l = top; l > 0; l -= 1000) {
            const these = [...log.events.keys()].filter(n => n <= l && n > l - 1000);
            for (const n of these) log.events.delete(n);
            gone += these.length;
            if (these.length === 0 && l >= 1000) break; // what is older than so many has expired, or will
        }
        assert.equal(Number(count), gone);
        const r = most > log.b ? most + 1 : log.b;
        const until = most > 0 ? this.now() + TTL.logMax : log.wUntil;
        const [n, b] = most > 0 ? [r, r] : [log.n, log.b];
        this.log = { n, b, events: log.events, m: null, k: log.k, wUntil: until };
        this.count('deleted');
        return undefined;
    }

    // -- the other side --

    async theirs() {
        if (this.dotnet === null || this.below(6) === 0) {
            this.dotnet = new Writer(this.cache, this.session, this.stream, { lives });
            if (this.below(4) !== 0) this.dotnet.sequence = this.log.m?.l ?? 0; // else it begins again, at 1
        }
        const data = `n${++this.serial}`;
        if (this.dotnet.sequence >= (this.log.m?.l ?? 0) + 3) this.dotnet.sequence = this.log.m?.l ?? 0;
        await this.dotnet.write({ data });
        this.put(this.dotnet.sequence, data, this.dotnet.mode === 'Polling');
        this.count('written by .NET');
    }

    async theyRead() {
        const after = Math.max(0, this.last - this.below(5));
        const reader = await Reader.open(this.cache, eventId(this.session, this.stream, after));
        assert.equal(reader === null, !this.log.m);
        if (!reader) return;
        const refresh = each => (each.until = this.now() + Math.min(each.sliding, each.abs - this.now()));
        refresh(this.log.m);
        const want = [];
        for (let n = after + 1; n <= this.log.m.l; n++) {
            const each = this.log.events.get(n);
            if (!each) {
                await assert.rejects(reader.available(), /was not found in the cache/);
                return;
            }
            refresh(each);
            want.push(each.data);
        }
        assert.deepEqual((await reader.available()).map(each => each.data), want);
        this.count('read by .NET');
    }

    // -- all of it --

    async look() {
        const { events, m } = this.log;
        const base = `mcp:sse:v1:event:${b64(this.session)}:${b64(this.stream)}:`;
        const stored = (await this.send('KEYS', `${base}*`)).map(key => Number(key.slice(base.length)));
        assert.deepEqual(stored.sort((a, b) => a - b), [...events.keys()].sort((a, b) => a - b));
        const meta = await this.send('HGET', keys.meta(this.session, this.stream), 'data');
        const mode = m?.p ? 'Polling' : 'Streaming';
        assert.equal(meta, m ? netJson({ mode, isCompleted: m.d, lastSequence: m.l }) : null);
        for (const key of await this.send('KEYS', `*${b64(this.session)}*`)) {
            assert.ok((await this.send('PTTL', key)) > 0, `${key} has no TTL`);
        }
    }

    async step() {
        const hand = this.hands[this.below(this.hands.length)];
        const who = this.below(6) === 0 ? 'bob' : 'alice';
        if (this.below(6) === 0) await this.age((1 + this.below(4)) * UNIT);
        if (this.below(150) === 0) await this.age((20 + this.below(60)) * UNIT);
        await this.settle();
        const what = this.below(100);
        if (what < 10 || hand.fence === 0) await this.open(hand, this.below(5) === 0);
        else if (what < 50) await this.append(hand);
        else if (what < 57) await this.set(hand);
        else if (what < 78) await this.range(who);
        else if (what < 84) await this.state(who);
        else if (what < 86) await this.del(who);
        else if (what < 92) await this.theirs();
        else await this.theyRead();
        this.expire();
        await this.look();
        if (this.below(400) === 0) this.begin();
    }
}
