// The official clients lose their connections to the device, and come back by themselves for what they missed.

import assert from 'node:assert/strict';
import { connect } from './clients.mjs';
import { Cutter } from './cutter.mjs';
import { sleep, test, until } from './tap.mjs';

const steps = [1, 2, 3, 4, 5];

async function behindWire(t, generation, device) {
    const server = await device.start('a');
    const wire = await Cutter.before(server.url);
    t.after(() => server.stop());
    t.after(() => wire.stop());
    const session = await connect(t, generation, wire.url);
    await session.streaming();
    return { server, wire, session };
}

// A calibration whose progress is gathered. during(progress) runs beside it.
async function calibrate(session, args, during) {
    const progress = [];
    const call = session.call({
        name: 'calibrate',
        arguments: args,
        timeout: 12000,
        onprogress: p => progress.push(p.progress)
    });
    await Promise.all([call, during?.(progress)]);
    assert.match(await call, /"steps":5/);
    assert.deepEqual(progress, steps, 'every step once, in order');
}

const resumed = session => session.sent('GET').filter(each => each.lastEventId);

function assertNothingTwice(session) {
    assert.equal(session.sent('POST', 'initialize').length, 1, 'the client had to initialise again');
    assert.equal(session.sent('POST', 'tools/call').length, 1, 'the call was made again');
}

async function cutOnce(t, generation, device) {
    const { wire, session } = await behindWire(t, generation, device);
    await calibrate(session, { seconds: 1.5 }, async progress => {
        await until(() => progress.length >= 2, 'the second step');
        wire.cut();
    });
    assert.ok(resumed(session).some(each => each.status === 200), 'nothing was resumed');
    assertNothingTwice(session);
}

async function awayAtTheEnd(t, generation, device) {
    const { wire, session } = await behindWire(t, generation, device);
    await calibrate(session, { seconds: 0.5 }, async progress => {
        await until(() => progress.length >= 4, 'the fourth step');
        await wire.away(600); // the answer comes before the client is back
    });
    assertNothingTwice(session);
}

async function cutOften(t, generation, device) {
    const { wire, session } = await behindWire(t, generation, device);
    let done = false;
    const call = calibrate(session, { seconds: 4 }).finally(() => (done = true));
    const cutting = (async () => {
        while (!done) {
            await sleep(50 + Math.random() * 350);
            if (!done) wire.cut();
        }
    })();
    await Promise.all([call, cutting]);
    assert.ok(wire.cuts >= 5, `${wire.cuts} cuts`);
    assertNothingTwice(session);
}

async function polls(t, generation, device) {
    const { session } = await behindWire(t, generation, device);
    await calibrate(session, { seconds: 4, poll: true }); // slower than the client asks: some answers are empty
    const [call] = session.sent('POST', 'tools/call');
    assert.equal(call.status, 200);
    assert.ok(resumed(session).length >= 2, 'the client did not have to ask again');
    assert.ok(resumed(session).every(each => each.status === 200));
    assertNothingTwice(session);
}

async function notificationsToo(t, generation, device) {
    const { server, wire, session } = await behindWire(t, generation, device);
    const told = () => session.notifications.map(each => each.params.data);
    const led = on => session.call({ name: 'set_led', arguments: { on } });
    await led(true);
    await until(() => told().length === 1, 'the first notification');
    const other = await connect(t, generation, server.url, session.id); // not on the wire
    const mine = resumed(session).length;
    wire.cut();
    for (const on of [false, true]) await other.call({ name: 'set_led', arguments: { on } });
    await until(() => resumed(session).length > mine, 'the GET stream coming back');
    await until(() => told().length >= 3, 'what was missed');
    await led(false);
    await until(() => told().length >= 4, 'what comes now');
    await sleep(100);
    assert.deepEqual(told(), [true, false, true, false].map(on => `the LED is ${on ? 'on' : 'off'}`));
}

export async function deviceResume(generation, device) {
    const each = (what, body) =>
        test(`${generation.name}, ${device.title}, cut: ${what}`, t => body(t, generation, device), 25);
    await each('a call goes on where its connection was lost', cutOnce);
    await each('an answer that came meanwhile is there', awayAtTheEnd);
    await each('a call whose connections are cut again and again', cutOften);
    await each('a call that polls', polls);
    await each('notifications, with those that came meanwhile', notificationsToo);
}
