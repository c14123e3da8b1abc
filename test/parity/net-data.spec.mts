/** Bytes both ways: half-close, pausing, user buffers, counters, backpressure, corking. */
import { twin } from '../support/twin.mjs';

describe('parity: data over net', () => {
  twin('allowHalfOpen on the server: answer after the end', async (t) => {
    const server = t.net.createServer({ allowHalfOpen: true }, (socket) => {
      const seen = t.lane('server');
      socket.resume();
      socket.on('end', () => {
        seen('end', socket.readyState, socket.writable);
        setTimeout(() => socket.end('late answer', () => seen('finish')), 20);
      });
      socket.on('close', (had) => seen('close', had));
    });
    const port = await t.listen(server);
    const client = t.net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    client.end('question');
    client.on('finish', () => t.trace('finish', client.readyState));
    client.on('data', (data) => t.trace('data', String(data), client.readyState));
    client.on('end', () => t.trace('end'));
    await t.closed(client);
    server.close();
  });

  twin('no allowHalfOpen: a write after the peer ended', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('error', (error) => t.lane('server')('error', error));
      socket.on('end', () => {
        t.lane('server')('end', socket.writable);
        socket.write('too late', (error) => t.lane('server')('write', error));
      });
      socket.on('close', () => {
        socket.write('far too late', (error) => t.lane('server')('write after close', error));
      });
      socket.resume();
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.end('x');
    client.resume();
    await t.closed(client);
    server.close();
  });

  twin('pauseOnConnect holds every byte until resume', async (t) => {
    const server = t.net.createServer({ pauseOnConnect: true }, (socket) => {
      t.trace('paused', socket.isPaused(), socket.bytesRead);
      socket.on('data', (data) => t.trace('data', String(data)));
      setTimeout(() => {
        t.trace('resume', socket.bytesRead);
        socket.resume();
      }, 50);
      socket.on('end', () => socket.end());
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.end('kept in the kernel');
    client.resume();
    await t.closed(client);
    server.close();
  });

  twin('pause and resume: nothing arrives while paused', async (t) => {
    const server = t.net.createServer((socket) => {
      let count = 0;
      const timer = setInterval(() => {
        socket.write(`${count++};`);
        if (count === 20) {
          clearInterval(timer);
          socket.end();
        }
      }, 2);
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    let text = '';
    let paused = false;
    let wrong = 0;
    client.on('data', (data) => {
      if (paused) wrong++;
      text += data;
      client.pause();
      paused = true;
      setTimeout(() => {
        paused = false;
        client.resume();
      }, 3);
    });
    await t.closed(client);
    t.trace(text, wrong);
    server.close();
  });

  twin('onread into a user buffer, split, paused by false, replaced', async (t) => {
    const server = t.net.createServer((socket) => socket.end(Buffer.alloc(100_000, 'abcdefghij')));
    const port = await t.listen(server);
    const first = Buffer.alloc(4096);
    let calls = 0;
    let bytes = 0;
    let tooLong = 0;
    let other = 0;
    let foreign = 0;
    const digest = t.require('node:crypto').createHash('sha1');
    const client = t.net.connect({
      port,
      host: '127.0.0.1',
      onread: {
        buffer: first,
        callback(length: number, buffer: Uint8Array) {
          calls++;
          bytes += length;
          if (length > buffer.length) tooLong++;
          if (buffer !== first) foreign++;
          digest.update(buffer.subarray(0, length));
          if (calls === 3) {
            setTimeout(() => client.resume(), 10);
            return false;
          }
          return true;
        },
      },
    });
    client.on('data', () => other++);
    client.on('end', () => t.trace('end', client.bytesRead));
    client.resume();
    await t.closed(client);
    t.trace(bytes, tooLong, other, foreign, calls >= 100_000 / 4096, digest.digest('hex'));
    server.close();
  });

  twin('onread with a function that makes buffers', async (t) => {
    const server = t.net.createServer((socket) => socket.end(Buffer.alloc(20_000, 'x')));
    const port = await t.listen(server);
    let made = 0;
    let bytes = 0;
    const seen = new Set<unknown>();
    const client = t.net.connect({
      port,
      host: '127.0.0.1',
      onread: {
        buffer: () => {
          made++;
          return Buffer.alloc(1000);
        },
        callback(length: number, buffer: Uint8Array) {
          bytes += length;
          seen.add(buffer);
          return true;
        },
      },
    } as never);
    client.resume();
    await t.closed(client);
    t.trace(bytes, made === seen.size || made === seen.size + 1, made >= 20);
    server.close();
  });

  twin('counters: bytesRead, bytesWritten, bufferSize, writableLength', async (t) => {
    const server = t.net.createServer((socket) => {
      socket.on('data', () => {});
      socket.on('close', () => t.lane('server')(socket.bytesRead, socket.bytesWritten));
      socket.end('12345');
    });
    const port = await t.listen(server);
    const client = t.net.connect({ port, host: '127.0.0.1' });
    await t.once(client, 'connect');
    client.write('abc');
    client.write('äöü', 'utf8');
    client.write('äöü', 'latin1');
    client.write('äöü', 'utf16le');
    client.write('616263', 'hex');
    client.write('YWJj', 'base64');
    client.write(new Uint8Array(7));
    client.write(Buffer.alloc(0));
    client.write('');
    t.trace(client.bytesWritten, client.bufferSize, client.writableLength);
    client.end();
    client.resume();
    await t.closed(client);
    t.trace(client.bytesRead, client.bytesWritten);
    server.close();
  });

  twin('backpressure: write says false, drain says go', async (t) => {
    const server = t.net.createServer((socket) => {
      let bytes = 0;
      socket.pause();
      setTimeout(() => socket.resume(), 100);
      socket.on('data', (data) => {
        bytes += data.length;
      });
      socket.on('end', () => {
        t.lane('server')('bytes', bytes);
        socket.end();
      });
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    const chunk = Buffer.alloc(1024 * 1024, 'z');
    const answers = new Set<boolean>();
    let drains = 0;
    client.on('drain', () => drains++);
    const done: number[] = [];
    for (let index = 0; index < 12; index++) {
      answers.add(client.write(chunk, () => done.push(index)));
    }
    // How much a kernel takes before the first false is no promise.
    t.trace('answers', answers.has(false), client.writableNeedDrain, client.bytesWritten);
    t.trace('queued', client.writableLength > 0);
    await t.once(client, 'drain');
    t.trace('after drain', client.writableLength, client.writableNeedDrain, done);
    client.end();
    client.resume();
    await t.closed(client);
    t.trace('drains', drains, client.bytesWritten);
    server.close();
  });

  twin('cork, uncork and writev keep order and callbacks', async (t) => {
    const server = t.net.createServer((socket) => {
      let text = '';
      socket.setEncoding('latin1');
      socket.on('data', (data) => {
        text += data;
      });
      socket.on('end', () => {
        t.lane('server')(text);
        socket.end();
      });
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'connect');
    client.cork();
    for (let index = 0; index < 5; index++) client.write(`s${index} `, () => t.trace('string', index));
    client.write(Buffer.from('mixed '), () => t.trace('buffer'));
    client.write('h\u00e9', 'latin1', () => t.trace('latin1'));
    t.trace('corked', client.writableCorked, client.writableLength, client.bytesWritten);
    client.uncork();
    t.trace('uncorked', client.writableCorked, client.writableLength, client.bytesWritten);
    client.cork();
    client.write(Buffer.from('only '));
    client.write(Buffer.from('buffers '));
    process.nextTick(() => client.uncork());
    client.end('last', () => t.trace('finish'));
    client.resume();
    await t.closed(client);
    server.close();
  });

  twin('four megabytes echoed byte for byte', async (t) => {
    const server = t.net.createServer((socket) => socket.pipe(socket));
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    const crypto = t.require('node:crypto');
    const payload = Buffer.alloc(4 * 1024 * 1024);
    for (let at = 0; at < payload.length; at += 4) payload.writeUInt32LE((at * 2654435761) >>> 0, at);
    const digest = crypto.createHash('sha1');
    let bytes = 0;
    let longest = 0;
    client.on('data', (data) => {
      digest.update(data);
      bytes += data.length;
      longest = Math.max(longest, data.length);
    });
    client.end(payload);
    await t.closed(client);
    const sent = crypto.createHash('sha1').update(payload).digest('hex');
    t.trace(bytes, longest <= 65536, digest.digest('hex') === sent);
    server.close();
  });

  twin('a kept chunk never changes and never drags others along', async (t) => {
    const server = t.net.createServer((socket) => {
      let count = 0;
      const more = (): void => {
        if (count === 300) socket.end();
        else socket.write(Buffer.alloc(400, count++ & 255), () => setImmediate(more));
      };
      more();
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    const kept: Buffer[] = [];
    client.on('data', (data) => kept.push(data));
    await t.closed(client);
    const all = Buffer.concat(kept);
    let wrong = 0;
    for (let at = 0; at < all.length; at++) if (all[at] !== (Math.floor(at / 400) & 255)) wrong++;
    t.trace(all.length, wrong);
    const message = new MessageChannel();
    const moved = kept[1] as Buffer;
    const before = Buffer.concat(kept.slice(2)).toString('latin1');
    message.port1.postMessage(moved.buffer.byteLength === moved.length ? 1 : 0);
    message.port1.close();
    message.port2.close();
    t.trace(Buffer.concat(kept.slice(2)).toString('latin1') === before);
    server.close();
  });

  twin('setEncoding across chunk borders', async (t) => {
    const text = 'äöü€𝄞'.repeat(500);
    const server = t.net.createServer((socket) => {
      const bytes = Buffer.from('äöü€𝄞'.repeat(500));
      let at = 0;
      const more = (): void => {
        if (at >= bytes.length) socket.end();
        else {
          socket.write(bytes.subarray(at, at + 777), () => setTimeout(more, 1));
          at += 777;
        }
      };
      more();
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    client.setEncoding('utf8');
    let got = '';
    client.on('data', (data) => {
      got += data;
    });
    await t.closed(client);
    t.trace(got === text, got.length);
    server.close();
  });

  twin('async iteration and pipeline', async (t) => {
    const server = t.net.createServer(async (socket) => {
      let text = '';
      for await (const chunk of socket) text += chunk;
      t.lane('server')(text);
    });
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t
      .require('node:stream/promises')
      .pipeline(['one ', 'two ', 'three'], client)
      .catch((e: Error) => t.trace(e));
    await t.closed(client);
    server.close();
  });

  twin('unread data and the end: readable, read() and push back', async (t) => {
    const server = t.net.createServer((socket) => socket.end('abcdefgh'));
    const port = await t.listen(server);
    const client = t.net.connect(port, '127.0.0.1');
    await t.once(client, 'readable');
    t.trace(String(client.read(3)), client.readableLength);
    client.unshift(Buffer.from('XY'));
    t.trace(String(client.read(4)));
    client.on('end', () => t.trace('end'));
    client.on('data', (data) => t.trace('data', String(data)));
    await t.closed(client);
    server.close();
  });
});
