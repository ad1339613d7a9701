// The C# SDK's event store, by its commands, from a client as such servers use one: many callers share a connection,
// and each waits for its answers. A line in, microseconds out:
//   append SESSION ROUND-TRIPS STREAMS COUNT   COUNT events to each of so many streams at once
//   replay SESSION STREAM AFTER COUNT          the COUNT events that follow one
//   node bench/streams.mjs SOCKET PACKAGES

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [path, packages] = process.argv.slice(2);
const { createClient } = createRequire(packages + '/')('@redis/client');
const redis = createClient({ socket: { path, tls: false } });
const send = (...words) => redis.sendCommand(words);

const base64 = text => Buffer.from(text).toString('base64');
const ticks = hours => String((BigInt(Date.now()) + 62135596800000n + BigInt(hours) * 3600000n) * 10000n);
const data = process.env.BENCH_DATA;

// Both commands are sent before either is answered.
const set = (key, hours, seconds, value) =>
    Promise.all([
        send('HMSET', key, 'absexp', ticks(hours), 'sldexp', String(seconds) + '0000000', 'data', value),
        send('EXPIRE', key, String(seconds))
    ]);

async function get(key, seconds) {
    const [, , value] = await send('HMGET', key, 'absexp', 'sldexp', 'data');
    await send('EXPIRE', key, String(seconds));
    return value;
}

async function append(session, stream, sequence, indexed) {
    const name = `${base64(session)}:${base64(stream)}`;
    const id = `${name}:${sequence}`.replaceAll('+', '\\u002B');
    const event = `{"eventType":"message","eventId":"${id}","data":${data}}`;
    await set(`mcp:sse:v1:event:${name}:${sequence}`, 2, 1800, event);
    const meta = `{"mode":"Streaming","isCompleted":false,"lastSequence":${sequence}}`;
    await set(`mcp:sse:v1:meta:${name}`, 4, 3600, meta);
    if (!indexed) return;
    const index = `mcp:sse:v1:idx:${base64(session)}`;
    await get(index, 3600);
    await set(index, 4, 3600, `{"streams":[{"streamId":"${stream}","lastSequence":${sequence}}]}`);
}

async function fill(session, stream, count, indexed) {
    for (let n = 1; n <= count; n++) await append(session, stream, n, indexed);
}

async function replay(session, stream, after, count) {
    const name = `${base64(session)}:${base64(stream)}`;
    const { lastSequence } = JSON.parse(await get(`mcp:sse:v1:meta:${name}`, 3600));
    if (lastSequence !== after + count) throw new Error('another stream');
    for (let n = after + 1; n <= lastSequence; n++) JSON.parse(await get(`mcp:sse:v1:event:${name}:${n}`, 1800));
}

const streams = (count, each) => Promise.all(Array.from({ length: count }, (_, n) => each(String(n))));
const commands = {
    append: (session, trips, count, events) =>
        streams(Number(count), stream => fill(session, stream, Number(events), trips === '5')),
    replay: (session, stream, after, count) => replay(session, stream, Number(after), Number(count))
};

await redis.connect();
for await (const line of createInterface({ input: process.stdin })) {
    const [command, ...words] = line.split(' ');
    const begun = process.hrtime.bigint();
    await commands[command](...words);
    console.log(String((process.hrtime.bigint() - begun) / 1000n));
}
await redis.close();
