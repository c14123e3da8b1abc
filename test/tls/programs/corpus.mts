/** Chains of certificates, good and bad, with what a verifier is configured to trust. */
import {
  type Certificate,
  certificate,
  type Extension,
  extensions,
  type Keys,
  newKeys,
  revocationList,
  type Wanted,
} from '../../support/certificates.mjs';

export interface Case {
  readonly name: string;
  /** What is presented, the end entity's first. */
  readonly chain: readonly Certificate[];
  readonly trust: {
    readonly ca: string[];
    readonly crl?: string[];
    readonly allowPartialTrustChain?: boolean;
  };
}

const leafExtensions: readonly Extension[] = [
  extensions.endEntity(),
  extensions.signs(),
  extensions.hosts('localhost'),
];
const authority: readonly Extension[] = [extensions.authority(), extensions.signsCertificates()];

interface Set {
  readonly name: string;
  readonly keys: readonly [Keys, Keys, Keys];
}

/** What is turned about one certificate of a chain. */
type Twist = Partial<Omit<Wanted, 'keys' | 'issuer' | 'subject'>>;

function casesOf({ name, keys }: Set, weak: Keys): Case[] {
  const [rootKeys, middleKeys, leafKeys] = keys;
  const cases: Case[] = [];
  const makeRoot = (twist: Twist = {}) =>
    certificate({ subject: `root of ${name}`, keys: rootKeys, extensions: authority, ...twist });
  const makeMiddle = (issuer: Certificate, twist: Twist = {}, subject = `middle of ${name}`, own = middleKeys) =>
    certificate({ subject, keys: own, issuer, extensions: authority, ...twist });
  const makeLeaf = (issuer: Certificate, twist: Twist = {}, own = leafKeys) =>
    certificate({ subject: 'localhost', keys: own, issuer, extensions: leafExtensions, ...twist });
  const root = makeRoot();
  const middle = makeMiddle(root);
  const leaf = makeLeaf(middle);
  const other = certificate({ subject: 'another root', keys: leafKeys, extensions: authority });
  const put = (
    title: string,
    chain: readonly Certificate[],
    ca: readonly Certificate[] = [root],
    trust: Omit<Case['trust'], 'ca'> = {},
  ) => cases.push({ name: `${name}: ${title}`, chain, trust: { ca: ca.map(({ pem }) => pem), ...trust } });
  const twisted = (title: string, twist: Twist) => put(title, [makeLeaf(middle, twist), middle]);
  const twistedMiddle = (title: string, twist: Twist) => {
    const issuer = makeMiddle(root, twist);
    put(title, [makeLeaf(issuer), issuer]);
  };
  const twistedRoot = (title: string, twist: Twist) => {
    const anchor = makeRoot(twist);
    const issuer = makeMiddle(anchor);
    put(title, [makeLeaf(issuer), issuer], [anchor]);
  };

  put('good', [leaf, middle]);
  put('root in the chain', [leaf, middle, root]);
  put('directly under the root', [makeLeaf(root)]);
  put('out of order', [leaf, root, middle]);
  put('one certificate too many', [leaf, middle, other]);
  put('missing intermediate', [leaf]);
  put('unknown root', [leaf, middle], [other]);
  put('unknown root in the chain', [leaf, middle, root], [other]);
  put('intermediate as an anchor', [leaf, middle], [middle]);
  put('intermediate as an anchor, partial chains', [leaf, middle], [middle], { allowPartialTrustChain: true });
  put('intermediate as an anchor that is not sent', [leaf], [middle], { allowPartialTrustChain: true });
  put('end entity as an anchor', [leaf], [leaf]);
  put('end entity as an anchor, partial chains', [leaf], [leaf], { allowPartialTrustChain: true });
  const alone = certificate({ subject: 'localhost', keys: leafKeys, extensions: leafExtensions });
  put('self-signed', [alone]);
  put('self-signed and trusted', [alone], [alone]);
  put('self-signed authority as an end entity', [root]);
  put('self-signed of version 1', [certificate({ subject: 'localhost', keys: leafKeys, version: 1 })]);

  twisted('expired', { until: -1 });
  twisted('not valid yet', { from: 2 });
  twisted('forged', { forged: true });
  twisted('for clients alone', { extensions: [...leafExtensions, extensions.purposes(2)] });
  twisted('for servers alone', { extensions: [...leafExtensions, extensions.purposes(1)] });
  twisted('for mail alone', { extensions: [...leafExtensions, extensions.purposes(4)] });
  twisted('unknown critical extension', { extensions: [...leafExtensions, extensions.unknown(true)] });
  twisted('unknown extension', { extensions: [...leafExtensions, extensions.unknown(false)] });
  twisted('of version 1', { version: 1 });
  twisted('signed with SHA-1', { digest: 'sha1' });
  // With a curve it cannot even be configured.
  if (name === 'RSA')
    twisted('usage without signatures', { extensions: [extensions.endEntity(), extensions.signsLists()] });
  put('expired under an unknown root', [makeLeaf(middle, { until: -1 }), middle], [other]);
  put('small key', [makeLeaf(middle, {}, weak), middle]);

  twistedMiddle('expired intermediate', { until: -1 });
  twistedMiddle('future intermediate', { from: 2 });
  twistedMiddle('forged intermediate', { forged: true });
  twistedMiddle('intermediate that is no authority', { extensions: leafExtensions });
  twistedMiddle('intermediate without certificate signing', {
    extensions: [extensions.authority(), extensions.signsLists()],
  });
  twistedMiddle('intermediate of version 1', { version: 1 });
  twistedMiddle('intermediate signed with SHA-1', { digest: 'sha1' });
  twistedMiddle('intermediate for clients alone', { extensions: [...authority, extensions.purposes(2)] });
  twistedMiddle('intermediate with an unknown critical extension', {
    extensions: [...authority, extensions.unknown(true)],
  });
  twistedMiddle('names permitted', { extensions: [...authority, extensions.permitted('localhost')] });
  twistedMiddle('names not permitted', { extensions: [...authority, extensions.permitted('example.org')] });
  twistedMiddle('path length that is kept', { extensions: [extensions.authority(0), extensions.signsCertificates()] });
  const narrow = makeMiddle(root, { extensions: [extensions.authority(0), extensions.signsCertificates()] });
  const second = makeMiddle(narrow, {}, `second middle of ${name}`, leafKeys);
  put('path length that is broken', [makeLeaf(second), second, narrow]);
  const weakMiddle = makeMiddle(root, {}, `weak middle of ${name}`, weak);
  put('small key of an intermediate', [makeLeaf(weakMiddle), weakMiddle]);

  twistedRoot('expired root', { until: -1 });
  twistedRoot('root of version 1', { version: 1 });
  twistedRoot('root signed with SHA-1', { digest: 'sha1' });

  const lists = (of: readonly Certificate[], when = {}) => ({
    crl: [revocationList(root, [], when), revocationList(middle, of, when)],
  });
  put('lists, nothing revoked', [leaf, middle], [root], lists([]));
  put('revoked', [leaf, middle], [root], lists([leaf]));
  put('expired lists', [leaf, middle], [root], lists([], { from: -9, until: -2 }));
  put('list of the root alone', [leaf, middle], [root], { crl: [revocationList(root, [])] });
  put('intermediate revoked', [leaf, middle], [root], {
    crl: [revocationList(root, [middle]), revocationList(middle, [])],
  });
  return cases;
}

/** Every kind of chain with curves and with RSA, and good ones with other kinds of keys. */
export function corpus(): Case[] {
  const weak = newKeys.rsa(1024);
  const of = <T,>(make: () => T): [T, T, T] => [make(), make(), make()];
  const cases = [
    ...casesOf({ name: 'P-256', keys: of(() => newKeys.ec()) }, weak),
    ...casesOf({ name: 'RSA', keys: of(() => newKeys.rsa()) }, weak),
  ];
  const others: readonly [string, () => Keys][] = [
    ['P-384', () => newKeys.ec('secp384r1')],
    ['P-521', () => newKeys.ec('secp521r1')],
    ['Ed25519', () => newKeys.ed25519()],
    ['RSA-PSS', () => newKeys.pss()],
  ];
  for (const [name, make] of others) {
    const root = certificate({ subject: `root of ${name}`, keys: make(), extensions: authority });
    const leaf = certificate({ subject: 'localhost', keys: make(), issuer: root, extensions: leafExtensions });
    cases.push({ name: `${name}: good`, chain: [leaf], trust: { ca: [root.pem] } });
    cases.push({ name: `${name}: unknown root`, chain: [leaf, root], trust: { ca: [] } });
  }
  return cases;
}
