'use strict';
// server.js - an MCP server for a gateway to run: it counts its calls, in a file of its data directory.
//
// It notes each start, and whether another one of the same data is still there: then there are two, which must not be.

const fs = require('node:fs');
const http = require('node:http');

const sessions = new Set();
const read = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');

function lives(pid) {
    const stat = pid > 0 ? read(`/proc/${pid}/stat`) : '';
    return /\) [^ZX]/.test(stat) && read(`/proc/${pid}/environ`).includes(`MCP_DATA=${process.env.MCP_DATA}\0`);
}

if (lives(Number(read('pid')))) fs.appendFileSync('overlaps', `${read('pid')} ${process.pid}\n`);
fs.writeFileSync('pid', String(process.pid));
fs.appendFileSync('starts', `${Date.now()}\n`);

function count() {
    const n = Number(read('count')) + 1;
    fs.writeFileSync('count.new', String(n));
    fs.renameSync('count.new', 'count'); // whole, whenever it is killed
    return n;
}

function answer({ headers }, message, say) {
    if (message.method === 'initialize') {
        const sid = `${process.pid}-${sessions.size}`;
        sessions.add(sid);
        const serverInfo = { name: 'counter', version: '1' };
        const result = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo };
        return say(200, { jsonrpc: '2.0', id: message.id, result }, { 'Mcp-Session-Id': sid });
    }
    if (!sessions.has(headers['mcp-session-id'])) {
        return say(404, { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } });
    }
    if (message.id === undefined) return say(202);
    const { PORT, MCP_DATA } = process.env;
    const about = { pid: process.pid, args: process.argv.slice(2), cwd: process.cwd(), PORT, MCP_DATA };
    return say(200, { jsonrpc: '2.0', id: message.id, result: { count: count(), ...about } });
}

const server = http.createServer((req, res) => {
    let body = '';
    const say = (status, value, more = {}) => {
        res.writeHead(status, { 'content-type': 'application/json', ...more });
        res.end(value && JSON.stringify(value));
    };
    req.on('data', (d) => (body += d));
    req.on('end', () => answer(req, body ? JSON.parse(body) : {}, say));
});
server.listen(Number(process.env.PORT), '127.0.0.1');
