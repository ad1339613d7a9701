// Requests as bytes, for what a client library would not send.

import { connect } from 'node:net';
import { within } from '../tap.mjs';

// A socket that gathers what it is sent. The simulator takes in few at a time: some may be there a second later.
export async function dial(port) {
    const socket = connect(Number(port), '127.0.0.1');
    socket.got = '';
    socket.setNoDelay(true);
    socket.on('data', bytes => (socket.got += bytes));
    socket.on('error', () => {});
    socket.over = new Promise(resolve => socket.once('close', resolve));
    await new Promise(resolve => socket.once('connect', resolve));
    return socket;
}

export function parse(text) {
    const [head, ...rest] = text.split('\r\n\r\n');
    const [first, ...lines] = head.split('\r\n');
    const headers = {};
    for (const line of lines) {
        const [, name, value] = line.match(/^([^:]*): *(.*)$/);
        headers[name.toLowerCase()] = value;
    }
    const status = Number(first.match(/^HTTP\/1\.1 (\d{3}) /)?.[1]);
    return { status, headers, body: rest.join('\r\n\r\n') };
}

// Sends bytes, and waits for the end of the answer.
export async function exchange(port, bytes) {
    const socket = await dial(port);
    socket.write(bytes);
    await within(8000, socket.over, 'the end of the answer');
    return parse(socket.got);
}

export const both = 'application/json, text/event-stream';

// A request as text; a header that is null is left out.
export function request(method, { path = '/mcp', headers = {}, body } = {}) {
    const all = { Host: 'device', Connection: 'close', Accept: both, ...headers };
    if (body !== undefined) {
        all['Content-Type'] ??= 'application/json';
        if (!all['Transfer-Encoding']) all['Content-Length'] = Buffer.byteLength(body);
    }
    const lines = Object.entries(all).filter(([, value]) => value != null);
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    return `${method} ${path} HTTP/1.1\r\n${head}\r\n${body ?? ''}`;
}

export const rpc = (method, params, id = 1) => JSON.stringify({ jsonrpc: '2.0', id, method, params });

export const hello = (protocolVersion = '2025-11-25') =>
    rpc('initialize', { protocolVersion, capabilities: {}, clientInfo: { name: 'raw', version: '1' } });

export const post = (session, body, headers = {}) =>
    request('POST', { headers: { 'Mcp-Session-Id': session, ...headers }, body });

export async function begin(port, version) {
    const answer = await exchange(port, request('POST', { body: hello(version) }));
    return answer.headers['mcp-session-id'];
}

export const end = (port, session) => exchange(port, request('DELETE', { headers: { 'Mcp-Session-Id': session } }));
