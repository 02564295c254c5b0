// The position of an invocation in a grid whose workgroups are folded over x and y. An entry point takes it as its argument
// and passes on its fields, never the whole struct. The reason: HLSL has no shader input for the number of workgroups, and
// naga adds a replacement only if the entry point itself reads the field.
struct Invocation {
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32, // in its workgroup
}

// The linear number of a workgroup.
fn linear_group(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}

