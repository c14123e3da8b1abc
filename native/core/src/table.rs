//! Generational ids of live handles.
//!
//! Both threads hand out ids (JavaScript for what it opens, the reactor for what it accepts), so the allocator has
//! a lock of its own, held for a few instructions, and never waits for a turn.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// A handle: a slot and how often the slot was reused. A stale id is answered, never dereferenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Index into the table.
    pub slot: u32,
    /// Reuse count of that slot, 30 bits so that JavaScript sees a small integer on every machine.
    pub generation: u32,
}

const GENERATION_MASK: u32 = 0x3fff_ffff;

/// Slots that stay unused after a release before they are taken again: reuse at once would make every stale id
/// differ from a live one in the generation only by one.
const COOLING: usize = 32;

#[derive(Debug, Default)]
struct State {
    generations: Vec<u32>,
    free: VecDeque<u32>,
}

/// Hands out ids and takes them back.
#[derive(Debug, Default)]
pub struct Ids(Mutex<State>);

impl Ids {
    /// A new id.
    pub fn allocate(&self) -> Id {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.free.len() > COOLING
            && let Some(slot) = state.free.pop_front()
        {
            return Id { slot, generation: state.generations[slot as usize] };
        }
        let slot = u32::try_from(state.generations.len()).expect("fewer slots than descriptors can exist");
        state.generations.push(0);
        Id { slot, generation: 0 }
    }

    /// False for a slot that never was, and for a generation that is over.
    pub fn is_live(&self, id: Id) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.generations.get(id.slot as usize) == Some(&id.generation)
    }

    /// Takes an id back; its generation is over. A second release of the same id is ignored.
    pub fn release(&self, id: Id) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(generation) = state.generations.get_mut(id.slot as usize) else { return };
        if *generation == id.generation {
            *generation = (*generation + 1) & GENERATION_MASK;
            state.free.push_back(id.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_slot_comes_back_under_a_new_generation() {
        let ids = Ids::default();
        let first: Vec<Id> = (0..=COOLING).map(|_| ids.allocate()).collect();
        for id in &first {
            ids.release(*id);
        }
        let again = ids.allocate();
        assert_eq!(again.slot, first[0].slot);
        assert_ne!(again.generation, first[0].generation);
    }

    #[test]
    fn releasing_twice_frees_once() {
        let ids = Ids::default();
        let ids_of: Vec<Id> = (0..COOLING + 2).map(|_| ids.allocate()).collect();
        for id in &ids_of {
            ids.release(*id);
            ids.release(*id);
        }
        let mut seen = std::collections::HashSet::new();
        for _ in 0..ids_of.len() + 4 {
            assert!(seen.insert(ids.allocate()));
        }
    }
}
