//! The complaints about one service in the last hour.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::Bin;

/// The bins of the last hour that had complaints, and their sum: since an author counts once an hour, that is how many
/// people complained in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Recent {
    bins: VecDeque<(Bin, u32)>,
    total: u32,
}

impl Recent {
    /// Adds a bin, and forgets what is an hour old.
    pub(crate) fn push(&mut self, bin: Bin, observed: u32, hour_bins: i64) {
        while let Some(&(old, n)) = self.bins.front()
            && bin.since(old) >= hour_bins
        {
            self.bins.pop_front();
            self.total = self.total.saturating_sub(n);
        }
        if observed > 0 {
            self.bins.push_back((bin, observed));
            self.total = self.total.saturating_add(observed);
        }
    }

    /// How many people complained in the last hour.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// The bins from `first` on, in order.
    pub(crate) fn since(&self, first: Bin) -> impl Iterator<Item = (Bin, u32)> + '_ {
        let start = self.bins.partition_point(|&(bin, _)| bin < first);
        self.bins.range(start..).copied()
    }
}
