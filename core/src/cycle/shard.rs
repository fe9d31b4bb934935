use std::str::FromStr;

use crate::{fnv, record::Environment};

/// One of several monitors that share a cycle's work: each sends the probes of its share of the pairs (an environment and a
/// model), and all shares together are all pairs.
///
/// ```
/// use llm_monitor_core::{cycle::Shard, record::Environment};
///
/// let shards: Vec<Shard> = ["0/2", "1/2"].iter().map(|text| text.parse().unwrap()).collect();
/// let takers = shards.iter().filter(|shard| shard.takes(&Environment::dev(), "gpt-4o-mini"));
/// assert_eq!(takers.count(), 1);
/// assert!("2/2".parse::<Shard>().is_err(), "they are counted from 0");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// The only one.
    pub const WHOLE: Self = Self { number: 0, of: 1 };
    /// Most that a cycle can be split into.
    pub const MOST: u32 = 100;

    /// Number `number`, counted from 0, `of` how many; `None` where there is no such.
    pub fn new(number: u32, of: u32) -> Option<Self> {
        ((1..=Self::MOST).contains(&of) && number < of).then_some(Self { number, of })
    }

    /// Whether it is this shard that probes `model` in `environment`. Every process, today and after an update, answers alike.
    pub fn takes(self, environment: &Environment, model: &str) -> bool {
        let pair = [environment.as_str().as_bytes(), b"/", model.as_bytes()].concat();
        stable_hash(&pair) % u64::from(self.of) == u64::from(self.number)
    }

    /// Whether it keeps what belongs to an environment as a whole: its catalog and what its usage endpoint said.
    pub fn is_first(self) -> bool {
        self.number == 0
    }

    /// How objects written at `location` by this shard are named, so that shards don't contend.
    pub fn writer(self, location: &str) -> String {
        if self.of == 1 { location.to_owned() } else { format!("{location}-shard{}", self.number) }
    }
}

/// The text is not `I/N`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected I/N like 0/4: N shards, 1 to {most}, of which this is number I, 0 to N-1", most = Shard::MOST)]
pub struct InvalidShard;

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, of) = text.split_once('/').ok_or(InvalidShard)?;
        number.parse().ok().zip(of.parse().ok()).and_then(|(number, of)| Self::new(number, of)).ok_or(InvalidShard)
    }
}

/// Its halves folded, so that the last bits depend on all of it.
fn stable_hash(bytes: &[u8]) -> u64 {
    let hash = fnv::hash(bytes);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_read_as_number_of_how_many() {
        assert_eq!("1/4".parse(), Ok(Shard { number: 1, of: 4 }));
        for wrong in ["4/4", "1", "", "1/", "/4", "-1/4", "0/0", "0/101", "a/b", "1/4/2"] {
            assert_eq!(wrong.parse::<Shard>(), Err(InvalidShard), "{wrong}");
        }
    }

    #[test]
    fn every_pair_is_taken_by_one_shard_and_the_shares_are_alike() {
        let environments = ["dev", "test", "qa", "prod"].map(|name| name.parse::<Environment>().expect("a name"));
        let mut taken = [0; 4];
        for environment in &environments {
            for model in 0..100 {
                let model = format!("gpt-{model}");
                let takers: Vec<u32> =
                    (0..4).filter(|n| Shard::new(*n, 4).expect("a shard").takes(environment, &model)).collect();
                let [taker] = takers.as_slice() else { panic!("{environment}/{model} is taken by {takers:?}") };
                taken[*taker as usize] += 1;
                assert!(Shard::WHOLE.takes(environment, &model));
            }
        }
        assert!(taken.iter().all(|share| (70..=130).contains(share)), "{taken:?}");
    }

    #[test]
    fn which_shard_takes_a_pair_never_changes() {
        assert_eq!(stable_hash(b"prod/gpt-4o-mini"), 0x7f43_8567_6e5f_0f2f);
    }

    #[test]
    fn there_is_no_shard_past_the_last() {
        assert_eq!(Shard::new(2, 2), None);
        assert_eq!(Shard::new(0, 0), None);
        assert_eq!(Shard::new(0, Shard::MOST + 1), None);
        assert_eq!(Shard::new(0, 1), Some(Shard::WHOLE));
    }

    #[test]
    fn the_only_shard_writes_under_its_locations_name() {
        assert_eq!(Shard::WHOLE.writer("eu-west-1"), "eu-west-1");
        assert_eq!(Shard::new(1, 2).map(|shard| shard.writer("eu-west-1")).as_deref(), Some("eu-west-1-shard1"));
    }
}
