#!/usr/bin/env node
// Takes a picture of a list or form in Tryton's web client: Debian's Chromium, driven over the
// DevTools protocol with nothing but Node's own modules (so the WebSocket client is here too).
//
//   screenshot.js --url http://127.0.0.1:8069 --user finance --password-file F --out list.png
//   screenshot.js ... --form 12 --out form.png      the form of invoice 12
//   screenshot.js ... --view 210 --out list.png     with another view than the model's own
'use strict';
const { spawn } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');

const kDefaults = {
  db: 'ledgerline', model: 'account.invoice', name: 'Customer Invoices',
  domain: '[["type","=","out"]]', size: '1700x600', browser: '/usr/bin/chromium',
};
const kStepTimeoutMs = 30000;
const kPollMs = 100;

function parseOptions(argv) {
  const options = { ...kDefaults };
  for (let i = 0; i < argv.length; i += 2) {
    if (!argv[i].startsWith('--') || argv[i + 1] === undefined) {
      throw new Error(`bad option ${argv[i]}`);
    }
    options[argv[i].slice(2)] = argv[i + 1];
  }
  for (const name of ['url', 'user', 'password-file', 'out']) {
    if (!options[name]) throw new Error(`--${name} is missing`);
  }
  return options;
}

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

async function until(what, probe) {
  const deadline = Date.now() + kStepTimeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`gave up waiting for ${what}`);
    await pause(kPollMs);
  }
}

// One DevTools connection. RFC 6455 frames: we send single masked text frames and accept
// fragmented answers; a screenshot is larger than one frame.
class DevTools {
  constructor(socket) {
    this.socket = socket;
    this.buffer = Buffer.alloc(0);
    this.fragments = [];
    this.pending = new Map();
    this.lastId = 0;
  }

  static connect(address) {
    const url = new URL(address);
    const socket = net.connect(url.port, url.hostname);
    const key = crypto.randomBytes(16).toString('base64');
    socket.write(`GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\n` +
      `Connection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`);
    const tools = new DevTools(socket);
    return new Promise((resolve, reject) => {
      let open = false;
      socket.on('error', reject);
      socket.on('data', data => {
        tools.buffer = Buffer.concat([tools.buffer, data]);
        if (!open) {
          const end = tools.buffer.indexOf('\r\n\r\n');
          if (end < 0) return;
          open = true;
          tools.buffer = tools.buffer.subarray(end + 4);
          resolve(tools);
        }
        tools.readFrames();
      });
    });
  }

  readFrames() {
    for (;;) {
      if (this.buffer.length < 2) return;
      let length = this.buffer[1] & 127;
      let start = 2;
      if (length === 126) {
        if (this.buffer.length < 4) return;
        length = this.buffer.readUInt16BE(2);
        start = 4;
      } else if (length === 127) {
        if (this.buffer.length < 10) return;
        length = Number(this.buffer.readBigUInt64BE(2));
        start = 10;
      }
      if (this.buffer.length < start + length) return;
      const last = this.buffer[0] & 0x80;
      this.fragments.push(this.buffer.subarray(start, start + length));
      this.buffer = this.buffer.subarray(start + length);
      if (!last) continue;
      const message = JSON.parse(Buffer.concat(this.fragments).toString());
      this.fragments = [];
      const settle = this.pending.get(message.id);
      if (settle) settle(message);
      this.pending.delete(message.id);
    }
  }

  send(method, params = {}) {
    const id = ++this.lastId;
    const body = Buffer.from(JSON.stringify({ id, method, params }));
    const mask = crypto.randomBytes(4);
    const head = body.length < 126
      ? Buffer.from([0x81, 0x80 | body.length])
      : Buffer.from([0x81, 0x80 | 126, body.length >> 8, body.length & 255]);
    for (let i = 0; i < body.length; i++) body[i] ^= mask[i & 3];
    return new Promise((resolve, reject) => {
      this.pending.set(id, message => {
        if (message.error) reject(new Error(`${method}: ${message.error.message}`));
        else resolve(message.result);
      });
      this.socket.write(Buffer.concat([head, mask, body]));
    });
  }

  async evaluate(expression) {
    const reply = await this.send('Runtime.evaluate', { expression, returnByValue: true });
    const failure = reply.exceptionDetails;
    if (failure) throw new Error(`in the page: ${failure.exception.description}`);
    return reply.result.value;
  }
}

// Chromium picks the port itself and writes it into its profile folder.
async function startBrowser(options, profile) {
  const browser = spawn(options.browser, [
    '--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0',
    `--user-data-dir=${profile}`, `--window-size=${options.size.replace('x', ',')}`, 'about:blank',
  ], { stdio: 'ignore' });
  browser.on('error', error => { throw error; });
  const file = path.join(profile, 'DevToolsActivePort');
  const port = await until('the browser', () =>
    fs.existsSync(file) && fs.readFileSync(file, 'utf8').split('\n')[0]);
  const pages = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
  return { browser, page: pages.find(p => p.type === 'page').webSocketDebuggerUrl };
}

async function logIn(tools, options) {
  const password = fs.readFileSync(options['password-file'], 'utf8').trim();
  await tools.send('Page.navigate', { url: `${options.url}/#${options.db}` });
  await until('the login form', () => tools.evaluate(`!!document.querySelector('#login')`));
  await tools.evaluate(`(() => {
    for (const field of document.querySelectorAll('#database')) field.value = ${JSON.stringify(options.db)};
    const login = document.querySelector('#login');
    login.value = ${JSON.stringify(options.user)};
    login.closest('.modal').querySelector('button[type=submit]').click();
  })()`);
  const visible = `[...document.querySelectorAll('input[type=password]')].filter(x => x.offsetParent).pop()`;
  await until('the password form', () => tools.evaluate(`!!${visible}`));
  await tools.evaluate(`(() => {
    const field = ${visible};
    field.value = ${JSON.stringify(password)};
    field.closest('.modal').querySelector('button.btn-primary').click();
  })()`);
  await until('the session (wrong password?)', () =>
    tools.evaluate(`!!(Sao.main_menu_screen && Sao.Session.current_session?.session)`));
}

async function openRecords(tools, options) {
  const [width, height] = options.size.split('x').map(Number);
  // After the login: the window's own size would include the browser's frame.
  await tools.send('Emulation.setDeviceMetricsOverride',
    { width, height, deviceScaleFactor: 1, mobile: false });
  const mode = options.form ? ['form', 'tree'] : ['tree', 'form'];
  await tools.evaluate(`Sao.Tab.create({
    model: ${JSON.stringify(options.model)}, name: ${JSON.stringify(options.name)},
    mode: ${JSON.stringify(mode)}, domain: ${options.domain},
    res_id: ${options.form ? Number(options.form) : 'undefined'},
    view_ids: ${options.view ? `[${Number(options.view)}]` : '[]'},
    context: Sao.Session.current_session.context}) && 0`);
  await tools.evaluate(`document.querySelector('[data-toggle=offcanvas]').click()`);  // hides the menu
  const shown = options.form
    ? `!!document.querySelector('.tab-pane.active .form input')`
    : `document.querySelectorAll('.tab-pane.active .treeview tbody tr').length`;
  await until('records', () => tools.evaluate(shown));
  // Cells fill in after their row appears, each by its own request: wait until they rest.
  let before = '';
  await until('a steady page', async () => {
    const cells = '.tab-pane.active td, .tab-pane.active input';
    const now = await tools.evaluate(`[...document.querySelectorAll('${cells}')]
      .map(x => x.value || x.innerText).join('|')`);
    const steady = now === before;
    before = now;
    await pause(5 * kPollMs);
    return steady;
  });
}

async function main() {
  const options = parseOptions(process.argv.slice(2));
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'screenshot-'));
  const { browser, page } = await startBrowser(options, profile);
  try {
    const tools = await DevTools.connect(page);
    await logIn(tools, options);
    await openRecords(tools, options);
    const picture = await tools.send('Page.captureScreenshot', { format: 'png' });
    fs.writeFileSync(options.out, Buffer.from(picture.data, 'base64'));
    console.log(`written ${options.out}`);
  } finally {
    const gone = new Promise(resolve => browser.on('exit', resolve));
    browser.kill();
    await gone;
    // Helper processes of the browser outlive it by a moment and still write there.
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

main().then(() => process.exit(0), error => {
  console.error(`screenshot.js: ${error.message}`);
  process.exit(1);
});
