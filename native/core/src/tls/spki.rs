//! The public key inside a certificate, found without judging the rest of it.
//!
//! webpki reads certificates of version 3 alone and refuses others before it looks at a signature; Node takes them. What a peer signed in the
//! handshake is therefore checked with the bare key, and what else is to be said of its certificate is OpenSSL's to say.

/// One value of DER: its tag, its contents, and all of it.
struct Value<'a> {
    tag: u8,
    contents: &'a [u8],
    whole: &'a [u8],
}

/// Takes one value off the front. Tags of more than a byte do not occur before the key, nor do lengths of more than four.
fn value<'a>(rest: &mut &'a [u8]) -> Option<Value<'a>> {
    let bytes = *rest;
    let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
    let (header, length) = if first < 0x80 {
        (2, usize::from(first))
    } else {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let length = bytes.get(2..2 + count)?.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        (2 + count, length)
    };
    let (whole, after) = bytes.split_at_checked(header.checked_add(length)?)?;
    *rest = after;
    Some(Value { tag, contents: &whole[header..], whole })
}

/// The `SubjectPublicKeyInfo` of a certificate, as DER.
#[must_use]
pub fn of(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let sequence = |rest: &mut &'_ [u8]| value(rest).filter(|value| value.tag == SEQUENCE).map(|_| ());
    let mut rest = certificate;
    let mut rest = value(&mut rest).filter(|value| value.tag == SEQUENCE)?.contents;
    let mut rest = value(&mut rest).filter(|value| value.tag == SEQUENCE)?.contents;
    let first = value(&mut rest)?;
    if first.tag == VERSION {
        // The serial number, which comes first where there is no version.
        value(&mut rest)?;
    }
    // The algorithm of the signature, who issued it, from when until when, for whom.
    for _ in 0..4 {
        sequence(&mut rest)?;
    }
    value(&mut rest).filter(|value| value.tag == SEQUENCE).map(|value| value.whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = contents.len();
        let header = match length {
            0..=0x7f => vec![tag, length as u8],
            0x80..=0xff => vec![tag, 0x81, length as u8],
            _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        [header, contents.to_vec()].concat()
    }

    fn certificate(version: bool, key: &[u8]) -> Vec<u8> {
        let filler = |length| tagged(0x30, &vec![5; length]);
        let version = if version { tagged(0xa0, &[2, 1, 2]) } else { Vec::new() };
        let body = [version, tagged(2, &[1, 2, 3]), filler(11), filler(200), filler(30), filler(40), key.to_vec(), tagged(0xa3, &[0; 99])].concat();
        tagged(0x30, &[tagged(0x30, &body), filler(10), tagged(3, &[0; 70])].concat())
    }

    #[test]
    fn is_found_in_certificates_of_either_kind() {
        let key = tagged(0x30, &[1; 294]);
        for version in [true, false] {
            assert_eq!(of(&certificate(version, &key)), Some(&key[..]));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_broken_is_answered(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), place in any::<prop::sample::Index>(), to in any::<u8>()) {
            let _ = of(&bytes);
            bytes = certificate(true, &tagged(0x30, &bytes));
            let place = place.index(bytes.len());
            bytes[place] = to;
            if let Some(key) = of(&bytes) {
                prop_assert!(key.len() < bytes.len());
            }
            prop_assert_eq!(of(&bytes[..place.min(200)]), None);
        }
    }
}
