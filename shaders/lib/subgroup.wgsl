// The values of all 8 lanes of a subgroup, in every lane. Each value costs one shuffle of a register.
fn in_every_lane(own: vec4f) -> array<vec4f, 8> {
    return array<vec4f, 8>(
        subgroupBroadcast(own, 0u),
        subgroupBroadcast(own, 1u),
        subgroupBroadcast(own, 2u),
        subgroupBroadcast(own, 3u),
        subgroupBroadcast(own, 4u),
        subgroupBroadcast(own, 5u),
        subgroupBroadcast(own, 6u),
        subgroupBroadcast(own, 7u),
    );
}

