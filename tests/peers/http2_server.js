// Node's http2 as a server for tests/http2_peers: what it answers depends on the path.
//
//   node http2_server.js '{"settings": {...}, "padding": "MAX" | "ALIGNED"}'
//
// Prints its port on loopback as one line, and ends with its standard input.
'use strict';
const http2 = require('node:http2');
const { constants } = http2;

const options = JSON.parse(process.argv[2] ?? '{}');
const server = http2.createServer({
  settings: options.settings,
  paddingStrategy: constants[`PADDING_STRATEGY_${options.padding ?? 'NONE'}`],
  maxSendHeaderBlockLength: 1 << 20,
  maxSessionMemory: 1_000, // megabytes
});

// Streams of the session that wait for something to happen to it.
const held = new Map();

const answer = (stream, status, text = '') => {
  if (stream.destroyed || stream.closed) return;
  stream.respond({ ':status': status });
  stream.end(text);
};

const release = (session) => {
  for (const stream of held.get(session) ?? []) answer(stream, 200, 'held');
  held.delete(session);
};

const hold = (session, stream, count, then) => {
  const streams = held.get(session) ?? [];
  held.set(session, streams);
  if (stream) streams.push(stream);
  if (count) streams.waiting = { count, then };
  if (streams.length === streams.waiting?.count) streams.waiting.then();
};

const readAll = (stream, then) => {
  const pieces = [];
  stream.on('data', (piece) => pieces.push(piece));
  stream.on('end', () => then(Buffer.concat(pieces)));
};

const routes = {
  echo: (stream, headers) => readAll(stream, (body) => {
    stream.respond({ ':status': 200, 'content-length': body.length, 'x-index': headers['x-index'] ?? '' });
    stream.end(body);
  }),
  // The answer begins before the request has ended.
  pipe: (stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  },
  // The answer ends before the request has.
  early: (stream) => answer(stream, 403, 'no need to read'),
  fields: (stream, headers) => {
    const own = Object.entries(headers).filter(([name]) => name.startsWith('x-'));
    answer(stream, 200, own.map(([name, value]) => `${name}: ${value}\n`).sort().join(''));
  },
  large: (stream, _, length) => answer(stream, 200, Buffer.alloc(Number(length), 'l')),
  field: (stream, _, length) => {
    stream.respond({ ':status': 200, 'x-long': '~'.repeat(Number(length)) }, { endStream: true });
  },
  many: (stream, _, count) => {
    const fields = { ':status': 200 };
    for (let n = 0; n < Number(count); n += 1) fields[`x-field-${n}`] = `value ${n}`;
    stream.respond(fields, { endStream: true });
  },
  trailers: (stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-after': 'the body' }));
    stream.end('before');
  },
  informational: (stream) => {
    stream.additionalHeaders({ ':status': 102 });
    const response = new http2.Http2ServerResponse(stream);
    response.writeContinue();
    response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
    answer(stream, 204);
  },
  reset: (stream, _, code) => stream.close(Number(code)),
  // With INTERNAL_ERROR.
  failafterhead: (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('a piece', () => stream.destroy(new Error('on purpose')));
  },
  ping: (stream) => stream.session.ping(Buffer.from('of node!'), (error, _, payload) => {
    answer(stream, error ? 500 : 200, payload);
  }),
  settings: (stream, _, name, value) => {
    stream.session.settings({ [name]: Number(value) }, () => answer(stream, 200));
  },
  hold: (stream) => hold(stream.session, stream),
  // Once `count` streams are held: GOAWAY with this last stream, then the answers.
  goaway: (stream, _, count, last, debug) => hold(stream.session, stream, Number(count), () => {
    const { session } = stream;
    session.goaway(constants.NGHTTP2_NO_ERROR, Number(last), Buffer.alloc(Number(debug), 'd'));
    release(session);
  }),
  close: (stream, _, count) => hold(stream.session, stream, Number(count), () => {
    const { session } = stream;
    session.close();
    release(session);
  }),
  destroy: (stream, _, count, code) => hold(stream.session, stream, Number(count), () => {
    stream.session.destroy(undefined, Number(code));
  }),
};

server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  const [, name, ...rest] = headers[':path'].split('?')[0].split('/');
  const route = routes[name] ?? ((unknown) => answer(unknown, 404));
  route(stream, headers, ...rest);
});
server.on('session', (session) => session.on('error', () => {}));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));

process.stdin.resume();
process.stdin.on('end', () => process.exit());
