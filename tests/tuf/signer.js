// SPDX-License-Identifier: Apache-2.0
// An independent signer and verifier of TUF metadata: a JSON request per line of standard input, a
// JSON answer per line of standard output. Canonical bytes, keys and checks are those of the npm
// packages @tufjs/canonical-json and @tufjs/models, signatures those of Node's crypto.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const readline = require('readline');
const { canonicalize } = require('@tufjs/canonical-json');
const { Metadata, MetadataKind } = require('@tufjs/models');

const keys = []; // private keys, by the number that a request calls them

const types = {
  ed25519: () => crypto.generateKeyPairSync('ed25519'),
  ecdsa: () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  rsa: (bits) => crypto.generateKeyPairSync('rsa', { modulusLength: bits || 2048 }),
};

const schemes = {
  ed25519: { keytype: 'ed25519', scheme: 'ed25519' },
  ecdsa: { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256' },
  p384: { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256' },
  rsa: { keytype: 'rsa', scheme: 'rsassa-pss-sha256' },
};

function publicText(type, key) {
  if (type === 'ed25519') {
    return key.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
  }
  return key.export({ format: 'pem', type: 'spki' });
}

function makeKey({ type, bits }) {
  const pair = types[type](bits);
  keys.push({ type, key: pair.privateKey });
  return {
    handle: keys.length - 1,
    public: { ...schemes[type], keyval: { public: publicText(type, pair.publicKey) } },
  };
}

function signBytes({ type, key }, bytes) {
  if (type === 'ed25519') {
    return crypto.sign(null, bytes, key);
  }
  if (type === 'rsa') {
    const padding = crypto.constants.RSA_PKCS1_PSS_PADDING;
    const saltLength = crypto.constants.RSA_PSS_SALTLEN_DIGEST;
    return crypto.sign('sha256', bytes, { key, padding, saltLength });
  }
  return crypto.sign('sha256', bytes, key);
}

function sign({ body, handles }) {
  const bytes = Buffer.from(canonicalize(body), 'utf8');
  return { sigs: handles.map((handle) => signBytes(keys[handle], bytes).toString('hex')) };
}

function hash({ value }) {
  const digest = crypto.createHash('sha256').update(canonicalize(value)).digest('hex');
  return { hash: digest };
}

function canonical({ text }) {
  return { hex: Buffer.from(canonicalize(JSON.parse(text)), 'utf8').toString('hex') };
}

const read = (kind, path) => Metadata.fromJSON(kind, JSON.parse(fs.readFileSync(path, 'utf8')));

// Whether files verify as @tufjs/models has it: each by the one before it in the chain of trust.
function verify({ roots, timestamp, snapshot, targets, delegated }) {
  let root = read(MetadataKind.Root, roots[0]);
  root.verifyDelegate('root', root);
  for (const path of roots.slice(1)) {
    const next = read(MetadataKind.Root, path);
    root.verifyDelegate('root', next);
    next.verifyDelegate('root', next);
    root = next;
  }
  root.verifyDelegate('timestamp', read(MetadataKind.Timestamp, timestamp));
  root.verifyDelegate('snapshot', read(MetadataKind.Snapshot, snapshot));
  const top = read(MetadataKind.Targets, targets);
  root.verifyDelegate('targets', top);
  for (const [name, path] of Object.entries(delegated || {})) {
    top.verifyDelegate(name, read(MetadataKind.Targets, path));
  }
  const meta = read(MetadataKind.Timestamp, timestamp).signed.snapshotMeta;
  meta.verify(fs.readFileSync(snapshot));
  const listed = read(MetadataKind.Snapshot, snapshot).signed.meta;
  listed['targets.json'].verify(fs.readFileSync(targets));
  return { version: root.signed.version };
}

const requests = { key: makeKey, sign, hash, canonical, verify };

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  let answer;
  try {
    const request = JSON.parse(line);
    answer = requests[request.op](request);
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
});
