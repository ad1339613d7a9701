// The same requests to the firmware and to the device for Linux: the same status, and the same JSON.

import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { start } from '../processes.mjs';
import { test } from '../tap.mjs';
import { Firmware } from './firmware.mjs';
import { begin, end, exchange, post, request } from './raw.mjs';
import { bareWords, batches, controls, initializes, messages, notJson, notMessages, transport } from './requests.mjs';

const json = text => (text === '' ? text : JSON.parse(text));

async function ask(server, text) {
    const { status, headers, body } = await exchange(server.port, text);
    const { allow, 'retry-after': retry, 'content-type': type } = headers;
    return { status, allow, retry, type: body && type, body: json(body) };
}

// requests: each a function of a server's sessions
async function agree({ host, board }, requests) {
    const different = [];
    for (const make of requests) {
        const text = make(board.sessions);
        const answers = { host: await ask(host, make(host.sessions)), board: await ask(board, text) };
        if (!isDeepStrictEqual(answers.host, answers.board)) different.push({ text, ...answers });
    }
    assert.deepEqual(different, []);
}

// An initialize that succeeds takes a session, of which the board has few.
async function agreeOnInitialize({ host, board }) {
    for (const body of initializes) {
        const answers = [];
        for (const { port } of [host, board]) {
            const answer = await exchange(port, request('POST', { body }));
            const id = answer.headers['mcp-session-id'];
            answers.push({ status: answer.status, body: json(answer.body), id: id?.length });
            if (id) await end(port, id);
        }
        assert.deepEqual(answers[1], answers[0], body);
    }
}

async function differOnBareWords({ host, board }) {
    const answer = async ({ port, sessions }, body) => {
        const { status, body: text } = await exchange(port, post(sessions.s, body));
        return [status, JSON.parse(text).error.code];
    };
    for (const body of bareWords) {
        assert.deepEqual(await answer(host, body), [400, -32600], body);
        assert.deepEqual(await answer(board, body), [400, -32700], body);
    }
}

async function differOnControls({ board }) {
    for (const body of controls) {
        const { status, body: text } = await exchange(board.port, post(board.sessions.s, body));
        assert.deepEqual([status, JSON.parse(text).error.code], [400, -32700], JSON.stringify(body));
    }
}

async function withSessions(server) {
    const s = await begin(server.port);
    const old = await begin(server.port, '2025-03-26');
    const other = await begin(server.port);
    return Object.assign(server, { sessions: { s, old, other } });
}

export async function compare() {
    const host = await withSessions(await start(process.env.DEVICE, ['--listen', '127.0.0.1:0', '--name', 'firmware']));
    const board = await withSessions(await Firmware.start());
    const both = { host, board };
    const as = (what, body) => test(`as the device for Linux: ${what}`, () => body(both), 20);
    const each = (what, requests) => as(what, () => agree(both, requests));
    const bodies = (texts, session) => texts.map(text => sessions => post(sessions[session], text));
    await as('initialize', agreeOnInitialize);
    await each('what is no JSON', bodies(notJson, 's'));
    await each('what is JSON, but no message', bodies(notMessages, 's'));
    await test('unlike the device for Linux: a bare word is a parse error', () => differOnBareWords(both));
    await test('unlike the device for Linux: so is a control character within a string', () => differOnControls(both));
    await each('messages', bodies(messages, 's'));
    await each('messages of the first revision', bodies(messages, 'old'));
    await each('batches', [...bodies(batches, 's'), ...bodies(batches, 'old')]);
    await each('methods, paths, headers, sessions', transport);
    await Promise.all([host.stop(), board.stop()]);
}
