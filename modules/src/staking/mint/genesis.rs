use plasma_proto::plasma::{genesis::v1::MintGenesis, staking::v1::Minter};

use super::{
    params::{self, INFLATION_BPS},
    state::{MINTER, PARAMS},
};
use crate::{Dec, Read, Write};

/// A new chain's inflation; its first block mints nothing.
pub fn default_genesis() -> MintGenesis {
    MintGenesis {
        params: Some(params::default_params()),
        minter: Some(Minter {
            inflation: Dec::bps(INFLATION_BPS).text(),
            annual_provisions_uxpl: Dec::ZERO.text(),
            last_time_s: 0,
            remainder_uxpl: Dec::ZERO.text(),
        }),
    }
}

/// Writes it.
pub fn init(store: &mut dyn Write, genesis: &MintGenesis) -> Result<(), &'static str> {
    let MintGenesis { params, minter } = genesis;
    let params = params.as_ref().ok_or("mint: params are missing")?;
    params::check(params)?;
    let minter = minter.as_ref().ok_or("mint: minter is missing")?;
    let Minter { inflation, annual_provisions_uxpl, last_time_s: _, remainder_uxpl } = minter;
    let numbers = [inflation, annual_provisions_uxpl, remainder_uxpl].map(|text| Dec::parse(text));
    let [Some(inflation), Some(_), Some(remainder)] = numbers else {
        return Err("mint: a number is no decimal");
    };
    if inflation > Dec::ONE || remainder >= Dec::ONE {
        return Err("mint: inflation or remainder is above 1");
    }
    PARAMS.set(store, params);
    MINTER.set(store, minter);
    Ok(())
}

/// Inflation as it stands.
pub fn export(store: &dyn Read) -> MintGenesis {
    MintGenesis { params: PARAMS.get(store), minter: MINTER.get(store) }
}
