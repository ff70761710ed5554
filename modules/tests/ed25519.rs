//! One rule for ed25519 on every machine: ZIP-215, one by one and in batches.

use ed25519_dalek::{Signer, SigningKey};
use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use plasma_modules::tx::verify_ed25519;
use rand_core::OsRng;

const DIGEST: [u8; 32] = [0x5a; 32];

/// The order of the base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Every encoding of a point whose order divides eight: eight points, and six more encodings of
/// three of them (y + p, or the sign of an x that is 0).
fn small_order() -> Vec<[u8; 32]> {
    let y = |first: u8, rest: u8, last: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    let eight: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    let minus_eight: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ];
    // 1, -1, 0, and p + 1, p: each with either sign.
    let ys = [
        y(0x01, 0x00, 0x00),
        y(0xec, 0xff, 0x7f),
        y(0x00, 0x00, 0x00),
        eight,
        minus_eight,
        y(0xee, 0xff, 0x7f),
        y(0xed, 0xff, 0x7f),
    ];
    ys.into_iter()
        .flat_map(|plain| {
            let mut signed = plain;
            signed[31] |= 0x80;
            [plain, signed]
        })
        .collect()
}

fn in_batch(items: &[([u8; 32], [u8; 64])]) -> bool {
    let mut verifier = batch::Verifier::new();
    for (key, signature) in items {
        let item = (VerificationKeyBytes::from(*key), Signature::from(*signature), &DIGEST[..]);
        verifier.queue(item);
    }
    verifier.verify(OsRng).is_ok()
}

fn signature(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s);
    signature
}

/// With s = 0 the equation times eight is 0 = 0, whatever the key, the point and the message:
/// ZIP-215 takes all 196. Libraries that look at the bytes, or leave the eight out, part here.
#[test]
fn all_edges_are_taken_alone_and_in_batches() {
    let points = small_order();
    let unique: std::collections::BTreeSet<_> = points.iter().collect();
    assert_eq!((points.len(), unique.len()), (14, 14));
    let mut all = Vec::new();
    for key in &points {
        for r in &points {
            let signature = signature(r, &[0; 32]);
            assert!(verify_ed25519(key, &DIGEST, &signature), "{key:02x?} {r:02x?}");
            assert!(in_batch(&[(*key, signature)]));
            all.push((*key, signature));
        }
    }
    assert_eq!(all.len(), 196);
    assert!(in_batch(&all));
}

/// What ZIP-215 refuses, one by one and in a batch that is good but for it.
#[test]
fn what_is_refused_alone_spoils_a_batch() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let public = key.verifying_key().to_bytes();
    let good = key.sign(&DIGEST).to_bytes();
    assert!(verify_ed25519(&public, &DIGEST, &good));
    let points = small_order();
    let rest: Vec<_> = points.iter().map(|r| (points[3], signature(r, &[0; 32]))).collect();

    let mut high_s = good;
    let mut carry = 0u16;
    for (byte, order) in high_s[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    let mut other_r = good;
    other_r[..32].copy_from_slice(&points[5]);
    let mut other_s = good;
    other_s[32] ^= 1;
    // y = 2 is on no point of the curve.
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    let cases = [
        ("s + order", public, high_s),
        ("s = order", points[0], signature(&points[0], &ORDER)),
        ("another point", public, other_r),
        ("another s", public, other_s),
        ("another key", points[2], good),
        ("a key off the curve", off_curve, signature(&points[0], &[0; 32])),
        ("a point off the curve", points[0], signature(&off_curve, &[0; 32])),
    ];
    for (name, key, signature) in cases {
        assert!(!verify_ed25519(&key, &DIGEST, &signature), "{name}");
        assert!(!in_batch(&[(key, signature)]), "{name}");
        let mut batch = rest.clone();
        batch.push((key, signature));
        assert!(!in_batch(&batch), "{name}");
    }
    let mut batch = rest;
    batch.push((public, good));
    assert!(in_batch(&batch));
    for len in [0, 63, 65] {
        assert!(!verify_ed25519(&public, &DIGEST, &vec![0; len]));
    }
}
