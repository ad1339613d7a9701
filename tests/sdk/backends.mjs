// The servers behind the gateway: what to start, and how to ask the same things of each kind.

import { start, Redis } from './processes.mjs';

const gateway = process.env.GATEWAY;
const device = process.env.DEVICE;
const here = new URL('.', import.meta.url).pathname;
const node18 = Number(process.versions.node.split('.')[0]) < 20;

const everything = {
    title: 'server-everything',
    server: /^mcp-servers.everything$/,
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
    bulk: text => ({ name: 'echo', arguments: { message: text } }),
    bulkAnswer: text => `Echo: ${text}`,
    // it keeps its events, so a call may be taken up again after its connection was lost
    resumes: true,
    // subscribing makes this server send a log message that names the resource
    async provoke(session, flag) {
        const uri = `demo://resource/${flag}`;
        await session.client.subscribeResource({ uri }, { timeout: 5000 });
        return n => n.method === 'notifications/message' && n.params.data.includes(`${uri} `);
    },
    // to a session it does not know this server says 400, not 404
    unknown: { status: 400, code: -32000 }
};

const deviceKind = {
    title: 'device',
    server: /^[ab]$/,
    tools: ['read_sensor', 'set_led', 'whoami', 'note', 'calibrate'],
    start: (name, port = 0) => start(device, ['--listen', `127.0.0.1:${port}`, '--name', name]),
    question: n => ({ name: 'read_sensor', arguments: { channel: n % 4 } }),
    answer: n => JSON.stringify({ channel: n % 4, celsius: 20.5 + 1.25 * (n % 4), calibrated: false }),
    where: async session => JSON.parse(await session.call({ name: 'whoami' })).device,
    slow: { name: 'calibrate', arguments: { seconds: 1.5 } },
    slowMs: 1500,
    slowSteps: 5,
    slowAnswer: /"seconds":1.5/,
    long: { name: 'calibrate', arguments: { seconds: 6 } },
    resumes: true,
    // a calibration that was cancelled leaves the sensor as it was
    unfinished: async session => (await session.call(deviceKind.question(0))) === deviceKind.answer(0),
    // switching the LED makes a device send a log message
    async provoke(session, flag) {
        await session.call({ name: 'set_led', arguments: { on: flag } });
        return n => n.method === 'notifications/message' && n.params.data === `the LED is ${flag ? 'on' : 'off'}`;
    },
    unknown: { status: 404, code: -32001 }
};

export const kinds = { everything, device: deviceKind };

// No sessions and nothing of 2025: see eras.mjs.
export const modernKind = {
    title: 'a 2026-07-28 server',
    start: (name, port = 0) => start(process.execPath, [`${here}modern-server.mjs`, name, String(port)])
};

// Servers of a kind and a gateway before them, to be stopped by the caller.
export async function startBehind(kind, options = [], names = ['a', 'b']) {
    const list = await Promise.all(names.map(name => kind.start(name)));
    const backends = list.flatMap(server => ['--backend', server.url]);
    const proxy = await start(gateway, ['--listen', '127.0.0.1:0', ...backends, ...options]);
    const servers = Object.fromEntries(names.map((name, i) => [name, list[i]]));
    return {
        title: `gateway to ${kind.title}`,
        url: proxy.url,
        kind,
        servers,
        proxy,
        names,
        unknown: { status: 404, code: -32001 },
        stop: () => Promise.all([proxy, ...Object.values(servers)].map(each => each.stop()))
    };
}

// The same with two gateways on a Redis of their own.
export async function startReplicas(kind, names = ['a', 'b']) {
    const redis = await Redis.start();
    const one = await startBehind(kind, ['--redis', redis.at], names);
    const backends = names.flatMap(name => ['--backend', one.servers[name].url]);
    const second = await start(gateway, ['--listen', '127.0.0.1:0', ...backends, '--redis', redis.at]);
    return {
        ...one,
        title: `two gateways to ${kind.title}`,
        url: [one.proxy.url, second.url],
        proxies: [one.proxy, second],
        redis,
        stop: () => Promise.all([one.stop(), second.stop(), redis.stop()])
    };
}

export async function withBackends(t, kind, options, body, names) {
    const target = await startBehind(kind, options, names);
    t.after(() => target.stop());
    t.explain(() => `gateway said:\n${target.proxy.output}`);
    await body(target);
}
