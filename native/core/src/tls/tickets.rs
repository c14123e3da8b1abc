//! Tickets for sessions that rustls may resume: sealed with keys that are derived from those of the context.
//!
//! Node's contexts have 48 random bytes for this, which `ticketKeys` sets and `cluster` carries through the primary to its workers. Ours are
//! derived from the same bytes, so whoever shares those shares ours; and they have a name of their own, by which a ticket of OpenSSL's is told
//! from one of ours while the ClientHello is held.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

use super::choose::Issuer;

/// Bytes of a context's keys.
pub const KEYS: usize = 48;
/// Bytes of a name, of ours and of OpenSSL's, at the front of every ticket.
const NAME: usize = 16;
/// Bytes of the key.
const KEY: usize = 32;

/// Seals and opens tickets of one context.
pub struct Tickets {
    name: [u8; NAME],
    /// The name in OpenSSL's tickets of the same context.
    theirs: [u8; NAME],
    key: LessSafeKey,
    lifetime: u32,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Tickets {
    /// Of the keys that `getTicketKeys()` answers, for sessions of so many seconds. `None` if they cannot be derived from.
    #[must_use]
    pub fn new(keys: &[u8; KEYS], lifetime: u32) -> Option<Self> {
        let material = Salt::new(HKDF_SHA256, b"tsloop tickets").extract(keys);
        let derive = |what: &'static [u8], into: &mut [u8]| material.expand(&[what], Length(into.len())).and_then(|derived| derived.fill(into)).ok();
        let (mut name, mut key) = ([0; NAME], Zeroizing::new([0; KEY]));
        derive(b"name", &mut name)?;
        derive(b"key", &mut key[..])?;
        let theirs = *keys.first_chunk()?;
        Some(Self { name, theirs, key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key[..]).ok()?), lifetime })
    }

    /// Whose a ticket is, by its name. A name is no secret, and who forges it gets a full handshake.
    #[must_use]
    pub fn issuer(&self, ticket: &[u8]) -> Issuer {
        match ticket.first_chunk::<NAME>() {
            Some(name) if *name == self.name => Issuer::Ours,
            Some(name) if *name == self.theirs => Issuer::OpenSsl,
            _ => Issuer::Nobody,
        }
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.lifetime
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = Vec::with_capacity(NAME + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend(self.name);
        sealed.extend(nonce);
        sealed.extend(plain);
        let tag = self.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(self.name), &mut sealed[NAME + NONCE_LEN..]).ok()?;
        sealed.extend(tag.as_ref());
        Some(sealed)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = cipher.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *name != self.name {
            return None;
        }
        let mut opened = sealed.to_vec();
        let length = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(name), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tickets(byte: u8) -> Tickets {
        Tickets::new(&[byte; KEYS], 300).expect("they can be derived from")
    }

    #[test]
    fn who_has_the_same_keys_opens_them_and_nobody_else() {
        let sealed = tickets(1).encrypt(b"a session").expect("it can be sealed");
        assert_eq!(tickets(1).decrypt(&sealed).as_deref(), Some(&b"a session"[..]));
        assert_eq!(tickets(2).decrypt(&sealed), None);
        assert_ne!(tickets(1).encrypt(b"a session"), Some(sealed), "each is another");
    }

    #[test]
    fn are_told_from_openssls_by_their_name() {
        let tickets = tickets(1);
        let sealed = tickets.encrypt(b"a session").expect("it can be sealed");
        assert_eq!(tickets.issuer(&sealed), Issuer::Ours);
        assert_eq!(tickets.issuer(&[1; 100]), Issuer::OpenSsl, "whose name is the first part of the keys");
        assert_eq!(tickets.issuer(&[9; 100]), Issuer::Nobody);
        assert_eq!(tickets.issuer(&[1; 3]), Issuer::Nobody);
    }

    #[test]
    fn nothing_of_the_keys_is_logged() {
        assert_eq!(format!("{:?}", tickets(1)), "Tickets { lifetime: 300, .. }");
    }

    proptest! {
        #[test]
        fn what_was_changed_does_not_open(plain in proptest::collection::vec(any::<u8>(), 0..300), place in any::<prop::sample::Index>(), flip in 1_u8..) {
            let tickets = tickets(1);
            let mut sealed = tickets.encrypt(&plain).expect("it can be sealed");
            prop_assert_eq!(tickets.decrypt(&sealed), Some(plain));
            let place = place.index(sealed.len());
            prop_assert_eq!(tickets.decrypt(&sealed[..place]), None);
            sealed[place] ^= flip;
            prop_assert_eq!(tickets.decrypt(&sealed), None);
        }
    }
}
