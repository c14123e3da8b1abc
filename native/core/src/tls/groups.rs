//! Which group OpenSSL takes for TLS 1.3, and whether it asks the client for a share of it first.
//!
//! Follows `tls_parse_ctos_key_share` and `final_key_share` of ssl/statem, in OpenSSL 3.0 and in 3.5: in between the rules have changed.

use super::choose::{Context, by_preference};
use super::hello::Hello;
use super::reasons::Reason;

/// How a context's groups are divided into tuples, which cannot be read: OpenSSL 3.5 prefers a tuple to the next, and within one a group of
/// which there is a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// As OpenSSL does it by default, where the list is the default one.
    Default,
    /// All in one.
    One,
    /// Not known.
    Unknown,
}

impl Division {
    /// By what `setECDHCurve` was called with, if it was.
    #[must_use]
    pub fn of(curves: Option<&str>) -> Self {
        match curves {
            // With which Node does nothing.
            None | Some("auto") => Self::Default,
            // Names and colons: no signs that divide, drop or mark, and no name for a list.
            Some(list) if list.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_".contains(&byte)) && !list.contains(":-") && !list.starts_with('-') => {
                if list.split(':').any(|name| name.eq_ignore_ascii_case("default")) {
                    Self::Unknown
                } else {
                    Self::One
                }
            }
            Some(_) => Self::Unknown,
        }
    }
}

/// Groups that OpenSSL 3.5 has by default, and into which tuples it puts them.
const DEFAULT_TUPLES: [&[u16]; 4] = [&[0x11ec], &[29, 23], &[30, 24, 25], &[256, 257]];
/// From this version on a server chooses the group of TLS 1.3 by tuples; before, by the client's order.
const TUPLES_SINCE: u64 = 0x3050_0000;
/// From this version on until that one no line of Node's has OpenSSL of its own, and a distribution's may: test/tls has not seen them.
const UNTRIED_FROM: u64 = 0x3010_0000;

/// The group of TLS 1.3, and whether the client has to be asked for a share of it.
pub(super) fn choose(context: &Context, hello: &Hello) -> Result<(u16, bool), Reason> {
    let (theirs, shares) = hello.groups.as_ref().zip(hello.key_shares.as_ref()).ok_or(Reason::Group)?;
    // Which is an error.
    if shares.iter().any(|share| !theirs.contains(share)) {
        return Err(Reason::Group);
    }
    let mut answers = Vec::new();
    if context.openssl < TUPLES_SINCE {
        // The client's first share that will do, and the server's own order where none does, whatever it prefers.
        let found = |first: &[u16], second: &[u16]| first.iter().copied().find(|group| second.contains(group));
        let share = found(shares, &context.groups).map(|group| (group, false));
        answers.push(share.or_else(|| found(&context.groups, theirs).map(|group| (group, true))));
    }
    // However the configured list is divided, and by whichever rule where the version is between those that were looked at, the answer has to
    // be the same.
    if context.openssl >= UNTRIED_FROM {
        answers.extend(tuples(context).into_iter().map(|tuples| by_tuples(context, &tuples, theirs, shares)));
    }
    answers.dedup();
    match answers[..] {
        [Some(answer)] => Ok(answer),
        _ => Err(Reason::Group),
    }
}

/// The ways in which the context's groups may be divided.
fn tuples(context: &Context) -> Vec<Vec<&[u16]>> {
    match context.division {
        Division::Default if context.groups == DEFAULT_TUPLES.concat() => vec![DEFAULT_TUPLES.to_vec()],
        Division::One => vec![vec![&context.groups[..]]],
        // A configuration file has set them, perhaps. One by one and all in one are the ends of what there can be.
        Division::Default | Division::Unknown => vec![vec![&context.groups[..]], context.groups.chunks(1).collect()],
    }
}

/// Follows `tls_parse_ctos_key_share` of OpenSSL 3.5: tuple by tuple, a share before a name.
fn by_tuples(context: &Context, tuples: &[&[u16]], theirs: &[u16], shares: &[u16]) -> Option<(u16, bool)> {
    tuples.iter().find_map(|tuple| {
        let find = |list: &[u16]| {
            let (first, second) = by_preference(context, *tuple, list);
            first.iter().copied().find(|group| second.contains(group))
        };
        find(shares).map(|group| (group, false)).or_else(|| find(theirs).map(|group| (group, true)))
    })
}
