//! Names of verdicts, as Node has them.

use std::ffi::c_int;

/// A verdict without a reason.
pub(crate) const UNSPECIFIED: c_int = 1;

/// The names that `X509ErrorCode` of Node's src/crypto/crypto_common.cc (from 24 on ncrypto) knows, under OpenSSL 3's numbers.
const NAMES: [(c_int, &str); 28] = [
    (2, "UNABLE_TO_GET_ISSUER_CERT"),
    (3, "UNABLE_TO_GET_CRL"),
    (4, "UNABLE_TO_DECRYPT_CERT_SIGNATURE"),
    (5, "UNABLE_TO_DECRYPT_CRL_SIGNATURE"),
    (6, "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY"),
    (7, "CERT_SIGNATURE_FAILURE"),
    (8, "CRL_SIGNATURE_FAILURE"),
    (9, "CERT_NOT_YET_VALID"),
    (10, "CERT_HAS_EXPIRED"),
    (11, "CRL_NOT_YET_VALID"),
    (12, "CRL_HAS_EXPIRED"),
    (13, "ERROR_IN_CERT_NOT_BEFORE_FIELD"),
    (14, "ERROR_IN_CERT_NOT_AFTER_FIELD"),
    (15, "ERROR_IN_CRL_LAST_UPDATE_FIELD"),
    (16, "ERROR_IN_CRL_NEXT_UPDATE_FIELD"),
    (17, "OUT_OF_MEM"),
    (18, "DEPTH_ZERO_SELF_SIGNED_CERT"),
    (19, "SELF_SIGNED_CERT_IN_CHAIN"),
    (20, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"),
    (21, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
    (22, "CERT_CHAIN_TOO_LONG"),
    (23, "CERT_REVOKED"),
    (25, "PATH_LENGTH_EXCEEDED"),
    (26, "INVALID_PURPOSE"),
    (27, "CERT_UNTRUSTED"),
    (28, "CERT_REJECTED"),
    (62, "HOSTNAME_MISMATCH"),
    // 24 before version 3, and it is OpenSSL's own constant that Node compiles in.
    (79, "INVALID_CA"),
];

/// The `code` of the error that `verifyError()` answers for a number.
#[must_use]
pub fn name(number: c_int) -> &'static str {
    NAMES.iter().find(|(of, _)| *of == number).map_or("UNSPECIFIED", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_node_has_no_name_for_is_unspecified() {
        assert_eq!(name(18), "DEPTH_ZERO_SELF_SIGNED_CERT");
        assert_eq!(name(66), "UNSPECIFIED");
        assert_eq!(name(-1), "UNSPECIFIED");
    }

    #[test]
    fn numbers_and_names_are_there_once() {
        let mut numbers: Vec<_> = NAMES.iter().map(|(number, _)| number).collect();
        numbers.dedup();
        assert!(numbers.is_sorted() && numbers.len() == NAMES.len());
        let names: std::collections::HashSet<_> = NAMES.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), NAMES.len());
    }
}
