//! How much memory something takes.

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::Cell;

// How much memory a thread holds more than when it began to measure, and the most that this was.
thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: isize) {
    // A thread that is ending has no counters any more, and nothing to measure.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator with the arguments that came; the counting beside it allocates
// nothing, since the thread's counters are constants without destructors.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        count(memory.size() as isize);
        // SAFETY: the caller keeps this function's contract, which is the same.
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, memory: Memory) {
        count(-(memory.size() as isize));
        // SAFETY: the pointer came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, memory) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What `act` gives, and the most memory that it held at one time.
pub(crate) fn measured<T>(act: impl FnOnce() -> T) -> (T, usize) {
    HELD.with(|held| held.set(0));
    MOST.with(|most| most.set(0));
    let result = act();
    (result, MOST.with(Cell::get) as usize)
}
