// The linear number of an invocation in a grid whose workgroups are folded over x and y.
fn linear_group(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}

