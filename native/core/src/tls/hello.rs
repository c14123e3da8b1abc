//! A ClientHello as it came from the socket: read where it lies, as strictly as OpenSSL does, and never consumed.
//!
//! Whatever is not perfectly in order here is refused, and OpenSSL is given the same bytes: its alert and its error are then what plain Node
//! has. So this parser may be stricter than OpenSSL's, but never laxer about what [`super::choose`] goes by.

use super::reasons::Reason;
use crate::limits::{HELLO_BYTES, HELLO_RECORDS};

/// Numbers of extensions, those that matter to the choice.
mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const MAX_FRAGMENT_LENGTH: u16 = 1;
    pub(super) const STATUS_REQUEST: u16 = 5;
    pub(super) const GROUPS: u16 = 10;
    pub(super) const POINT_FORMATS: u16 = 11;
    pub(super) const SIGNATURES: u16 = 13;
    pub(super) const ALPN: u16 = 16;
    pub(super) const SESSION_TICKET: u16 = 35;
    pub(super) const PRE_SHARED_KEY: u16 = 41;
    pub(super) const VERSIONS: u16 = 43;
    pub(super) const PSK_MODES: u16 = 45;
    pub(super) const CERTIFICATE_SIGNATURES: u16 = 50;
    pub(super) const KEY_SHARES: u16 = 51;
}

/// Bytes before the contents of a record.
const RECORD_HEADER: usize = 5;
/// Bytes before those of a handshake message.
const MESSAGE_HEADER: usize = 4;
/// Most contents of a record.
const RECORD_BYTES: usize = 16 * 1024;
/// Most extensions: there are some 60 numbers, and as many again are made up to keep peers honest.
const EXTENSIONS: usize = 128;

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The version in the old place: the highest, below 1.3.
    pub version: u16,
    /// The session that an old client wants back, or what stands for it in TLS 1.3.
    pub session_id: Vec<u8>,
    /// Its suites, in its order.
    pub suites: Vec<u16>,
    /// Whether compression is offered besides none.
    pub compression: bool,
    /// The server's name.
    pub server_name: Option<Vec<u8>>,
    /// Its groups, in its order.
    pub groups: Option<Vec<u16>>,
    /// Whether it reads uncompressed points, where it says anything about points.
    pub uncompressed_points: Option<bool>,
    /// Signatures that it checks, in its order.
    pub signatures: Option<Vec<u16>>,
    /// Signatures that it checks in certificates, where that differs.
    pub certificate_signatures: Option<Vec<u16>>,
    /// Its protocols, in its order.
    pub protocols: Option<Vec<Vec<u8>>>,
    /// Versions, where it knows of 1.3.
    pub versions: Option<Vec<u16>>,
    /// Groups that it has sent a share of, in its order.
    pub key_shares: Option<Vec<u16>>,
    /// The ticket of an old session, empty where it only says that it takes tickets.
    pub ticket: Option<Vec<u8>>,
    /// The tickets of sessions of TLS 1.3.
    pub identities: Option<Vec<Vec<u8>>>,
    /// How it would resume those.
    pub psk_modes: Option<Vec<u8>>,
    /// It wants smaller records.
    pub max_fragment_length: bool,
    /// It wants the staple of an OCSP responder.
    pub status_request: bool,
    /// Bytes of the input that are the hello's records.
    pub length: usize,
}

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// A beginning. There is no use in asking again before there are so many bytes.
    More(usize),
    /// All of it.
    Whole(Box<Hello>),
    /// Nothing to go on with.
    Refused(Refusal),
}

/// Why a hello is left to OpenSSL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not begin as TLS does.
    NotTls,
    /// It contradicts itself or the protocol.
    Malformed,
    /// It is larger, or in more pieces, than is held.
    Oversized,
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotTls => Self::NotTls,
            Refusal::Malformed => Self::Malformed,
            Refusal::Oversized => Self::Oversized,
        }
    }
}

/// Reads what has come from a client since the connection began.
#[must_use]
pub fn read(bytes: &[u8]) -> Held {
    match message(bytes) {
        Err(held) => held,
        Ok((message, length)) => match parse(&message) {
            Some(hello) => Held::Whole(Box::new(Hello { length, ..hello })),
            None => Held::Refused(Refusal::Malformed),
        },
    }
}

/// The message's contents, out of as many records as it takes, and the length of these.
fn message(bytes: &[u8]) -> Result<(Vec<u8>, usize), Held> {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    let refused = |refusal| Err(Held::Refused(refusal));
    let mut message = Vec::new();
    let mut at = 0;
    for record in 0.. {
        if record == HELLO_RECORDS {
            return refused(Refusal::Oversized);
        }
        // Told by the first bytes, whether the others are there or not.
        let start = &bytes[at..];
        let foreign = start.first().is_some_and(|kind| *kind != HANDSHAKE) || start.get(1).is_some_and(|major| *major != 3);
        if foreign {
            return refused(if record == 0 { Refusal::NotTls } else { Refusal::Malformed });
        }
        let Some(header) = start.first_chunk::<RECORD_HEADER>() else { return Err(Held::More(at + RECORD_HEADER)) };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if length == 0 || length > RECORD_BYTES {
            return refused(Refusal::Malformed);
        }
        let end = at + RECORD_HEADER + length;
        let known = &start[RECORD_HEADER..start.len().min(RECORD_HEADER + length)];
        // The kind of message and its length are judged as soon as they can be.
        let mut first = [0; MESSAGE_HEADER];
        let have = message.iter().chain(known).take(MESSAGE_HEADER).zip(&mut first).map(|(byte, place)| *place = *byte).count();
        if have > 0 && first[0] != CLIENT_HELLO {
            return refused(Refusal::Malformed);
        }
        let total = (have == MESSAGE_HEADER).then(|| MESSAGE_HEADER + usize::from(first[1]) * 0x1_0000 + usize::from(first[2]) * 0x100 + usize::from(first[3]));
        if total.is_some_and(|total| total > HELLO_BYTES) || message.len() + length > HELLO_BYTES {
            return refused(Refusal::Oversized);
        }
        if bytes.len() < end {
            return Err(Held::More(end));
        }
        message.extend_from_slice(known);
        at = end;
        if let Some(total) = total {
            // A second message behind the first one, before anything was answered, is for OpenSSL to be surprised at.
            if message.len() > total {
                return refused(Refusal::Malformed);
            }
            if message.len() == total {
                message.drain(..MESSAGE_HEADER);
                break;
            }
        }
    }
    Ok((message, at))
}

/// The rest of something that is being read: every step answers `None` where there is not enough.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn word(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// What a length of one byte announces.
    fn short(&mut self) -> Option<Rest<'a>> {
        let length = self.byte()?;
        self.take(length.into()).map(Rest)
    }

    /// What a length of two bytes announces.
    fn long(&mut self) -> Option<Rest<'a>> {
        let length = self.word()?;
        self.take(length.into()).map(Rest)
    }

    /// The rest as words; none if that does not come out, or there is nothing.
    fn words(self) -> Option<Vec<u16>> {
        let (pairs, []) = self.0.as_chunks::<2>() else { return None };
        (!pairs.is_empty()).then(|| pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
    }

    /// Whether nothing is left, as it must be at the end of everything.
    fn done(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

fn parse(message: &[u8]) -> Option<Hello> {
    let mut rest = Rest(message);
    let mut hello = Hello { version: rest.word()?, ..Hello::default() };
    rest.take(32)?;
    let session = rest.short()?.0;
    if session.len() > 32 {
        return None;
    }
    hello.session_id = session.to_vec();
    hello.suites = rest.long()?.words()?;
    let compressions = rest.short()?.0;
    if !compressions.contains(&0) {
        return None;
    }
    hello.compression = compressions.len() > 1;
    if rest.0.is_empty() {
        // As clients were before extensions.
        return Some(hello);
    }
    let mut extensions = rest.long()?;
    rest.done()?;
    let mut seen = Vec::new();
    while !extensions.0.is_empty() {
        let (kind, contents) = (extensions.word()?, extensions.long()?);
        if seen.contains(&kind) || seen.len() == EXTENSIONS {
            return None;
        }
        seen.push(kind);
        extension(&mut hello, kind, contents)?;
        if kind == extension::PRE_SHARED_KEY {
            // Its proof is over everything before it, so nothing may follow.
            extensions.done()?;
        }
    }
    Some(hello)
}

fn extension(hello: &mut Hello, kind: u16, mut contents: Rest<'_>) -> Option<()> {
    /// A list that is all of the contents.
    fn only<'a>(contents: &mut Rest<'a>, list: fn(&mut Rest<'a>) -> Option<Rest<'a>>) -> Option<Rest<'a>> {
        let list = list(contents)?;
        contents.done()?;
        Some(list)
    }
    match kind {
        extension::SERVER_NAME => hello.server_name = Some(server_name(only(&mut contents, Rest::long)?)?),
        extension::MAX_FRAGMENT_LENGTH => {
            contents.byte()?;
            contents.done()?;
            hello.max_fragment_length = true;
        }
        // What stands in it does not matter here: who staples answers all of them alike.
        extension::STATUS_REQUEST => hello.status_request = true,
        extension::GROUPS => hello.groups = Some(only(&mut contents, Rest::long)?.words()?),
        extension::POINT_FORMATS => {
            let formats = only(&mut contents, Rest::short)?.0;
            if formats.is_empty() {
                return None;
            }
            hello.uncompressed_points = Some(formats.contains(&0));
        }
        extension::SIGNATURES => hello.signatures = Some(only(&mut contents, Rest::long)?.words()?),
        extension::CERTIFICATE_SIGNATURES => hello.certificate_signatures = Some(only(&mut contents, Rest::long)?.words()?),
        extension::ALPN => hello.protocols = Some(protocols(only(&mut contents, Rest::long)?)?),
        extension::VERSIONS => hello.versions = Some(only(&mut contents, Rest::short)?.words()?),
        extension::KEY_SHARES => hello.key_shares = Some(key_shares(only(&mut contents, Rest::long)?)?),
        extension::SESSION_TICKET => hello.ticket = Some(contents.0.to_vec()),
        extension::PRE_SHARED_KEY => hello.identities = Some(identities(&mut contents)?),
        extension::PSK_MODES => {
            let modes = only(&mut contents, Rest::short)?.0;
            if modes.is_empty() {
                return None;
            }
            hello.psk_modes = Some(modes.to_vec());
        }
        _ => {}
    }
    Some(())
}

/// One name, of a host: nobody has ever sent another, and OpenSSL refuses it.
fn server_name(mut list: Rest<'_>) -> Option<Vec<u8>> {
    const HOST: u8 = 0;
    const LONGEST: usize = 255;
    let (kind, name) = (list.byte()?, list.long()?.0);
    list.done()?;
    (kind == HOST && (1..=LONGEST).contains(&name.len()) && !name.contains(&0)).then(|| name.to_vec())
}

fn protocols(mut list: Rest<'_>) -> Option<Vec<Vec<u8>>> {
    let mut protocols = Vec::new();
    while !list.0.is_empty() {
        let name = list.short()?.0;
        if name.is_empty() {
            return None;
        }
        protocols.push(name.to_vec());
    }
    (!protocols.is_empty()).then_some(protocols)
}

/// May be empty: a client that wants to be told which group to send.
fn key_shares(mut list: Rest<'_>) -> Option<Vec<u16>> {
    let mut groups = Vec::new();
    while !list.0.is_empty() {
        let (group, share) = (list.word()?, list.long()?.0);
        if share.is_empty() || groups.contains(&group) {
            return None;
        }
        groups.push(group);
    }
    Some(groups)
}

fn identities(contents: &mut Rest<'_>) -> Option<Vec<Vec<u8>>> {
    let (mut list, mut binders) = (contents.long()?, contents.long()?);
    contents.done()?;
    let mut identities = Vec::new();
    while !list.0.is_empty() {
        let identity = list.long()?.0;
        list.take(4)?;
        if identity.is_empty() {
            return None;
        }
        identities.push(identity.to_vec());
    }
    for _ in &identities {
        binders.short()?;
    }
    binders.done()?;
    (!identities.is_empty()).then_some(identities)
}
