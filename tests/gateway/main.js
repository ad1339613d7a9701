'use strict';
// node tests/gateway/main.js BUILD [PART OF A TEST'S NAME]

const { Gateway, run, skip, tests } = require('./kit.js');
const { Redis } = require('./redis.js');

const everything = ['session', 'revive', 'directory', 'modern', 'stream', 'resume', 'input', 'limits', 'life'];
everything.push('process', 'copies');
if (Redis.there) everything.push('redis', 'replicas', 'lists');
const slow = ['session', 'revive', 'directory', 'resume', 'store', 'process'];
if (Redis.there) slow.push('names');

// The tests of a file, fresh ones each time.
function load(part) {
    const file = require.resolve(`./test_${part}.js`);
    delete require.cache[file];
    require(file);
}

async function main(build, only) {
    everything.forEach(load);
    Gateway.binary = `${build}/gateway`;
    await run(only);
    if (!process.env.GATEWAY_TLS) skip('TLS to Redis', 'libmbedtls-dev');
    if (Redis.there && !Redis.tls) skip('TLS to Redis', 'a redis-server that was built with it');
    if (!Redis.there) skip('two gateways on one Redis', 'redis-server');
    Gateway.binary = `${build}/gateway-slow`;
    slow.forEach(load);
    tests.forEach((t) => (t.name += ', slow store'));
    await run(only);
    return run.end();
}

process.on('unhandledRejection', (e) => console.log(`# left over from a failed test: ${e.message}`));
main(process.argv[2], process.argv[3]).then((ok) => process.exit(ok ? 0 : 1));
