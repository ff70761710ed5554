//! What the database says of the block that it holds.

/// Version of the layout on disk; a change is a release note.
pub const FORMAT: u32 = 1;

/// A committed block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its height.
    pub height: u64,
    /// Its time, seconds, from the header.
    pub time_s: u64,
    /// First height of the chain.
    pub initial_height: u64,
    /// Hash of the state after it.
    pub app_hash: [u8; 32],
    /// The chain.
    pub chain_id: String,
}

impl Head {
    /// Bytes for the disk.
    pub fn encode(&self) -> Vec<u8> {
        let Self { height, time_s, initial_height, app_hash, chain_id } = self;
        let mut out = Vec::with_capacity(64 + chain_id.len());
        out.extend_from_slice(&FORMAT.to_be_bytes());
        for number in [height, time_s, initial_height] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(app_hash);
        out.extend_from_slice(chain_id.as_bytes());
        out
    }

    /// The format that `bytes` were written in.
    pub fn format(bytes: &[u8]) -> u32 {
        bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    /// Reads the bytes back.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        fn number(bytes: &mut &[u8]) -> Option<u64> {
            let (head, tail) = bytes.split_first_chunk()?;
            *bytes = tail;
            Some(u64::from_be_bytes(*head))
        }
        let mut bytes = bytes.get(4..)?;
        let height = number(&mut bytes)?;
        let time_s = number(&mut bytes)?;
        let initial_height = number(&mut bytes)?;
        let (app_hash, chain_id) = bytes.split_first_chunk()?;
        let chain_id = String::from_utf8(chain_id.to_vec()).ok()?;
        Some(Self { height, time_s, initial_height, app_hash: *app_hash, chain_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let head = Head {
            height: 7,
            time_s: 8,
            initial_height: 1,
            app_hash: [9; 32],
            chain_id: "plasma-1".into(),
        };
        assert_eq!(Head::decode(&head.encode()), Some(head.clone()));
        assert_eq!(Head::format(&head.encode()), FORMAT);
        assert_eq!(Head::decode(&head.encode()[..40]), None);
    }
}
