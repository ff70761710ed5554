use plasma_proto::plasma::attestation::v1::{BeaconKey, BeaconKeys, MsgSetBeaconKeyResponse};

use super::{
    Error, SetBeaconKey,
    event::Event,
    state::{KEYS, keys},
    vrf::{possession, verify},
};
use crate::{Ctx, attestation::params, staking};

/// A validator sets its key, which counts from the second epoch after this one: by then the beacon is
/// one that nobody knows now, so no key can be sought that pleases its holder. While one waits, no
/// other is set: else its holder could choose between two as the block comes.
pub fn set_beacon_key(
    ctx: &mut Ctx<'_>,
    msg: SetBeaconKey,
) -> Result<MsgSetBeaconKeyResponse, Error> {
    let SetBeaconKey { operator, public_key, proof } = msg;
    if staking::validator(ctx.store, operator).is_none() {
        return Err(Error::UnknownValidator(operator.text()));
    }
    let counts = keys(ctx.store, operator).pop();
    if let Some(last) = &counts
        && last.from_height > ctx.block.height
    {
        return Err(Error::Waiting(last.from_height));
    }
    let input = possession(&ctx.block.chain_id, operator, &public_key);
    verify(&public_key, &input, &proof).ok_or(Error::BadPossession)?;

    let from_height = takes_effect(ctx.block.height, params(ctx.store).beacon_epoch_blocks);
    let new = BeaconKey { public_key: public_key.into(), from_height };
    let keys = counts.into_iter().chain([new]).collect();
    KEYS.set(ctx.store, &operator, &BeaconKeys { operator: operator.text(), keys });
    ctx.emit(&Event::KeySet { operator, public_key, from_height });
    Ok(MsgSetBeaconKeyResponse { from_height })
}

/// The first block of the second epoch after the one of `height`.
fn takes_effect(height: u64, epoch_blocks: u64) -> u64 {
    let epoch = height.checked_div(epoch_blocks).unwrap_or(height);
    epoch.saturating_add(2).saturating_mul(epoch_blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_two_epochs_later() {
        assert_eq!(takes_effect(1, 100), 200);
        assert_eq!(takes_effect(99, 100), 200);
        assert_eq!(takes_effect(100, 100), 300);
        assert_eq!(takes_effect(7, 1), 9);
    }
}
