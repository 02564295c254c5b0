// Where an invocation stands in a grid whose workgroups are folded over x and y. An entry point takes it as its argument and
// hands on its fields, never the whole: in HLSL the number of workgroups is no input of the shader, and naga puts in what
// stands for it only where the entry point itself reads the field.
struct Invocation {
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32, // in its workgroup
}

// The linear number of a workgroup.
fn linear_group(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}

