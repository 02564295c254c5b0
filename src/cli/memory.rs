//! The memory that the program may take, and how it ends where it gets none.

use sysinfo::{MemoryRefreshKind, System};

/// The memory that the system, the program's control group and `ulimit -v` still leave, in bytes.
pub fn free() -> usize {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    let available = system.available_memory();
    let system_leaves = match system.cgroup_limits() {
        // What the group's files take in the cache is free again when it is needed, so it does not count.
        Some(limits) if limits.total_memory < system.total_memory() => {
            available.min(limits.total_memory.saturating_sub(limits.rss))
        }
        _ => available.saturating_add(system.free_swap()),
    };
    let free = address_space(&mut system).map_or(system_leaves, |space| space.min(system_leaves));
    // Where nothing can be learned, nothing is refused.
    if system.total_memory() == 0 { usize::MAX } else { usize::try_from(free).unwrap_or(usize::MAX) }
}

/// What `ulimit -v` leaves.
#[cfg(unix)]
fn address_space(system: &mut System) -> Option<u64> {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate};
    let most = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    let own = sysinfo::get_current_pid().ok()?;
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[own]),
        false,
        ProcessRefreshKind::nothing().with_memory(),
    );
    Some(most.saturating_sub(system.process(own)?.virtual_memory()))
}

#[cfg(not(unix))]
fn address_space(_: &mut System) -> Option<u64> {
    None
}

/// The system's allocator. Where it has no memory, the program ends with a sentence: Rust would abort it.
pub struct OrEnd;

// SAFETY: every call is passed on to the system's allocator, with the same arguments.
#[expect(unsafe_code, reason = "the interface of allocators")]
unsafe impl std::alloc::GlobalAlloc for OrEnd {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        or_end(unsafe { std::alloc::System.alloc(layout) }, layout.size())
    }
    unsafe fn alloc_zeroed(&self, layout: std::alloc::Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        or_end(unsafe { std::alloc::System.alloc_zeroed(layout) }, layout.size())
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: std::alloc::Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        or_end(unsafe { std::alloc::System.realloc(pointer, layout, size) }, size)
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: std::alloc::Layout) {
        // SAFETY: as the caller promises.
        unsafe { std::alloc::System.dealloc(pointer, layout) }
    }
}

fn or_end(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() {
        end(bytes);
    }
    pointer
}

#[cold]
fn end(bytes: usize) -> ! {
    use std::io::Write as _;
    // Writing to standard error allocates nothing.
    let _ = writeln!(
        std::io::stderr(),
        "error: The system has no {bytes} bytes of memory left for the program. Try a smaller --batch-size, fewer --threads, or \
         fewer images."
    );
    std::process::exit(1)
}
