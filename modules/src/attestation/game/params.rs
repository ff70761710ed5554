//! Numbers of referee games, each with its bounds and its step.

use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::GameParams;

use crate::params::{BLOCKS_MAX, Param, SECONDS_MAX, Step, UXPL_MAX, bounded, whole};

const XPL: u64 = 1_000_000;

/// What a new chain starts with.
pub fn default_params() -> GameParams {
    GameParams {
        bond_uxpl: 20 * XPL,
        defend_blocks: 600,
        defend_s: 3_600,
        round_blocks: 200,
        round_s: 1_200,
        prove_blocks: 200,
        prove_s: 1_200,
        rest_blocks: 200,
        rest_s: 3_600,
        steps_per_block_max: 32,
    }
}

bounded! {
    fn table(GameParams) {
        bond_uxpl: whole, 1, UXPL_MAX, Step::twice_or(1_000_000);
        defend_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(10);
        defend_s: whole, 0, SECONDS_MAX, Step::twice_or(60);
        round_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(10);
        round_s: whole, 0, SECONDS_MAX, Step::twice_or(60);
        prove_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(10);
        prove_s: whole, 0, SECONDS_MAX, Step::twice_or(60);
        rest_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(10);
        rest_s: whole, 0, SECONDS_MAX, Step::twice_or(60);
        steps_per_block_max: whole, 1, 10_000, Step::twice_or(16);
    }
}

/// Each number.
pub(in crate::attestation) fn rows(params: &GameParams) -> Vec<Param> {
    table(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::check_bounds;

    #[test]
    fn the_default_is_within_bounds_and_each_bound_holds() {
        let good = default_params();
        check_bounds(&rows(&good)).unwrap();
        for bad in [
            GameParams { bond_uxpl: 0, ..good },
            GameParams { defend_blocks: 0, ..good },
            GameParams { round_blocks: 0, ..good },
            GameParams { prove_blocks: 0, ..good },
            GameParams { rest_blocks: 0, ..good },
            GameParams { steps_per_block_max: 0, ..good },
            GameParams { steps_per_block_max: 10_001, ..good },
        ] {
            assert!(check_bounds(&rows(&bad)).is_err(), "{bad:?}");
        }
    }
}
