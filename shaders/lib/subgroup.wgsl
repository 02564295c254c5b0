// What each lane of a subgroup of 8 has, in every lane: one shuffle of a register each.
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

