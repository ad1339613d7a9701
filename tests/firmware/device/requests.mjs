// Requests that both devices answer. Bodies are texts; what also needs a session of some kind is a function of them:
// s, one of the newest revision, old, one of the first, and other, somebody else's.

import { hello, post, request, rpc } from './raw.mjs';

const message = text => `{"jsonrpc":"2.0",${text}}`;
const call = (name, args, id) => rpc('tools/call', { name, arguments: args }, id);
const literally = (name, args) =>
    message(`"id":1,"method":"tools/call","params":{"name":"${name}","arguments":${args}}`);
const list = messages => `[${messages.join(',')}]`;

export const initializes = [
    hello(),
    hello('2025-06-18'),
    hello('1999-01-01'),
    rpc('initialize', { protocolVersion: '2025-11-25' }),
    rpc('initialize', { protocolVersion: 5, capabilities: {}, clientInfo: {} }),
    rpc('initialize')
];

export const notJson = [
    ...['', ' ', '{', '[1 2]', '[1,]', '[,1]', '[]]', '["a":1]'],
    ...['{"a" 1}', '{"a":1,}', '{"a":}', '{1:2}', '{"a":1 "b":2}', '{"a":1:2}', '{"a":1]', "{'a':1}", '{}x'],
    ...['{}{}', '{},', '{}:'],
    ...['nul', 'truex', '-', '1e', '+1', '"a', '"\\x"', '"\\u12"']
];

// cJSON takes the first two for numbers, and jsmn none of them for a text of its own.
export const bareWords = ['01', '1.', '1', 'true', 'null'];

// cJSON takes these within a string, as they are.
export const controls = ['\0', '\t', '\n', '\r', '\x1f'].map(sign => message(`"id":"a${sign}b","method":"ping"`));

export const notMessages = [
    '"x"',
    '{}',
    '{"jsonrpc":"2.0"}',
    '{"jsonrpc":"1.0","id":1,"method":"ping"}',
    message('"id":null,"method":"ping"'),
    message('"id":1.5,"method":"ping"'),
    message('"id":{},"method":"ping"'),
    message('"id":1,"method":""'),
    message('"id":1,"method":5'),
    message('"id":1,"method":"ping","params":[]'),
    message('"id":1,"result":{},"error":{}'),
    message('"result":{}')
];

const noAnswer = [message('"method":"notifications/initialized"'), message('"id":1,"result":{}')];

export const messages = [
    ...noAnswer,
    message('"id":1,"error":{"code":1,"message":""}'),
    rpc('ping'),
    rpc('ping', {}, 'an "id" \\ é'),
    rpc('ping', {}, -7),
    rpc('ping', {}, 999999999999999),
    message('"id":1,"method":"p\\u0069ng"'),
    message('"id":1,"method":"ping","method":"tools/list"'),
    '\n{ "jsonrpc" : "2.0" , "id" : 1 , "method" : "ping" }\t',
    rpc('no/such'),
    rpc('tools/list'),
    rpc('tools/list').replace('/', '\\/'),
    rpc('tools/list', { cursor: 'x' }),
    rpc('logging/setLevel', { level: 'warning' }),
    rpc('logging/setLevel', { level: 'loud' }),
    rpc('logging/setLevel', {}),
    rpc('tools/call'),
    rpc('tools/call', { name: 5 }),
    rpc('tools/call', { name: 'x' }),
    rpc('tools/call', { name: 'note', arguments: 1 }),
    ...[0, 1, 2, 3, 4, -1, 1.5, '1', null].map(channel => call('read_sensor', { channel })),
    call('read_sensor', {}),
    literally('read_sensor', '{"channel":2.0}'),
    literally('read_sensor', '{"channel":2e0}'),
    ...['1e999', '-1e999', '1e-999'].map(channel => literally('read_sensor', `{"channel":${channel}}`)),
    call('set_led', { on: true }),
    call('set_led', { on: false }),
    call('set_led', { on: 1 }),
    call('whoami', {}),
    call('note', {}),
    call('note', { text: 'é 🚪 "\\\n\t\u0001' }),
    literally('note', '{"text":"\\u00e9\\ud83d\\udeaa\\/"}'),
    call('note', { text: 'x'.repeat(200) }),
    call('note', { text: 'x'.repeat(201) }),
    call('note', { text: 5 }),
    call('calibrate', {}),
    call('calibrate', { seconds: 11 }),
    call('calibrate', { seconds: -1 }),
    call('calibrate', { seconds: 0, poll: 1 })
];

export const batches = [
    list([]),
    list(['1']),
    list(noAnswer),
    list([rpc('ping'), '{}', ...noAnswer, call('whoami', {}, 2)]),
    list(Array(17).fill('{}'))
];

const probe = rpc('server/discover', { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } }, 'a');
const stateless = { 'MCP-Protocol-Version': '2026-07-28' };
const ping = rpc('ping');
const chunked = `${ping.length.toString(16)}\r\n${ping}\r\n0\r\n\r\n`;

const get = headers => ({ s }) => request('GET', { headers: { 'Mcp-Session-Id': s, ...headers } });

export const transport = [
    ...['application/json', 'text/event-stream', '*/*', null, 'Text/Event-Stream;q=0.5 , APPLICATION/json'].map(
        accept => ({ s }) => post(s, ping, { Accept: accept })
    ),
    ...['text/plain', 'application/json; charset=utf-8'].map(
        type => ({ s }) => post(s, ping, { 'Content-Type': type })
    ),
    ...[null, 'nobody', 'x'.repeat(80)].map(id => () => post(id, ping)),
    ({ s }) => post(`${s}x`, ping),
    ...['2025-06-18', '2024-01-01', '2026-07-28', '2026-08-\\"', `2${'\\'.repeat(9)}`].map(
        version => ({ s }) => post(s, ping, { 'MCP-Protocol-Version': version })
    ),
    () => post(null, probe),
    ...['http://localhost:5173', 'https://[::1]', 'http://localhost.evil.example', 'null'].map(
        origin => ({ s }) => post(s, ping, { Origin: origin })
    ),
    ...['/mcp?a=b', '/mcp/', '/'].map(
        path => ({ s }) => request('POST', { path, headers: { 'Mcp-Session-Id': s }, body: ping })
    ),
    ({ s }) => post(s, chunked, { 'Transfer-Encoding': 'chunked' }),
    ({ s }) => post(s, ping, { 'X-Long': 'x'.repeat(2000) }),
    ...['PUT', 'HEAD', 'OPTIONS', 'GET', 'DELETE'].map(method => () => request(method)),
    ...['PATCH', 'GET', 'DELETE'].map(method => () => request(method, { headers: stateless })),
    get({ Accept: 'application/json' }),
    get({ 'Mcp-Session-Id': 'nobody' }),
    get({ 'MCP-Protocol-Version': 'x' }),
    ...['x', 'YQ==:Yg==:1:1', 'x'.repeat(150)].map(id => get({ 'Last-Event-ID': id })),
    ({ s, other }) => get({ 'Last-Event-ID': `${btoa(other)}:${btoa('__get__')}:1:1` })({ s }),
    () => request('DELETE', { headers: { 'Mcp-Session-Id': 'nobody' } }),
    ({ old }) => request('DELETE', { headers: { 'Mcp-Session-Id': old } }),
    ({ old }) => post(old, ping)
];
