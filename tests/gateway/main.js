'use strict';
// node tests/gateway/main.js GATEWAY [PART OF A TEST'S NAME]

const { Gateway, run } = require('./kit.js');

Gateway.binary = process.argv[2];
for (const part of ['session', 'revive', 'modern', 'stream', 'input', 'limits', 'life']) require(`./test_${part}.js`);
process.on('unhandledRejection', (e) => console.log(`# left over from a failed test: ${e.message}`));
run(process.argv[3]).then((failed) => process.exit(failed ? 1 : 0));
