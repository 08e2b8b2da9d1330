/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The three lookups of a decision, in the memory image of a slot (see WARDLINE_LINE_SIZE in wardline.h). The agent writes
 * the image as plain memory; nothing here writes.
 *
 * The image is trusted for its meaning, never for its bounds: every step is a map lookup that fails outside of the map,
 * every walk has a bound of its own, and whatever fails denies.
 */
#ifndef WARDLINE_TABLES_H
#define WARDLINE_TABLES_H

#include "helpers.h"
#include "maps.h"
#include "wardline.h"

struct decision {
	__u32 index;
	__u32 flags;
};

struct tree {
	__u32 root;
	__u32 height;
};

INLINE struct wardline_line *line_at(void *image, __u32 index)
{
	return bpf_map_lookup_elem(image, &index);
}

/*
 * Keeps the compiler from loading a whole line before it adds anything up: it would keep the line on the stack, and older
 * kernels allow 512 bytes for a chain of calls in steps of 32.
 */
#define IN_ORDER(number) asm volatile("" : "+r"(number))

/* 1 when `one` is below `other`, without a branch: which way a search goes cannot be predicted. */
INLINE __u32 is_below(__u32 one, __u32 other)
{
	return ((__u64)one - (__u64)other) >> 63;
}

/*
 * The value of the range that has `key`; WARDLINE_RANGE_MISSING when the image is broken. Global for the verifier: it walks
 * the levels once, and not behind each way out of the search for a class.
 */
GLOBAL __u32 find_range(__u32 slot, __u32 root, __u32 height, __u32 key)
{
	void *image = bpf_map_lookup_elem(&wl_tables, &slot);
	struct wardline_line *line;
	__u32 level, place, i;

	if (!image)
		return WARDLINE_RANGE_MISSING;
	line = line_at(image, root);
	for (level = 0; line && level < height && level < WARDLINE_MAX_HEIGHT; level++) {
		place = line->branch.first_child;
#pragma unroll
		for (i = 0; i < WARDLINE_BRANCH_KEYS; i++) {
			place += is_below(line->branch.last[i], key);
			IN_ORDER(place);
		}
		line = line_at(image, place);
	}
	if (!line)
		return WARDLINE_RANGE_MISSING;
	place = 0;
#pragma unroll
	for (i = 0; i < WARDLINE_LEAF_RANGES - 1; i++) {
		place += is_below(line->leaf.last[i], key);
		IN_ORDER(place);
	}
	return line->leaf.value[place & (WARDLINE_LEAF_RANGES - 1)];
}

/* The borrow of `one - other - borrowed` (Hacker's Delight, 2-13): 1 when the difference is below 0. */
INLINE __u64 borrow_of(__u64 one, __u64 other, __u64 borrowed)
{
	return ((~one & other) | (~(one ^ other) & (one - other - borrowed))) >> 63;
}

/* 1 when `one` is below the other 128 bits: subtracted like two digits, the lower one first. */
INLINE __u32 is_below_wide(const struct wardline_wide_key *one, __u64 high, __u64 low)
{
	return borrow_of(one->high, high, borrow_of(one->low, low, 0));
}

/* How many of the three are below; they ascend. */
INLINE __u32 count_below_wide(const struct wardline_wide_key *last, __u64 high, __u64 low)
{
	__u32 count = is_below_wide(&last[0], high, low);

	IN_ORDER(count);
	count += is_below_wide(&last[1], high, low);
	IN_ORDER(count);
	return count + is_below_wide(&last[2], high, low);
}

INLINE __u32 find_wide_range(void *image, __u32 root, __u32 height, __u64 high, __u64 low)
{
	struct wardline_line *line = line_at(image, root);
	__u32 level, place;

	for (level = 0; line && level < height && level < WARDLINE_MAX_WIDE_HEIGHT; level++) {
		place = line->wide_branch.first_child + count_below_wide(line->wide_branch.last, high, low);
		line = line_at(image, place);
	}
	if (!line)
		return WARDLINE_RANGE_MISSING;
	return line->wide_leaf.value[count_below_wide(line->wide_leaf.last, high, low) & 3];
}

/* All ones when both are 0, without a branch. */
INLINE __u32 mask_of_zero(__u32 one, __u32 other)
{
	return -(__u32)(((__u64)(one | other) - 1) >> 63);
}

/* 1 when the image has the class of these three themselves. */
INLINE int find_own_class(void *image, const struct wardline_tables *tables, __u32 set, __u32 place, struct tree *class)
{
	__u32 hash = (place + set * 0x85ebca77U) * 0x9e3779b1U;
	struct wardline_line *line;
	__u32 probe, i;

	hash ^= hash >> 16;
	for (probe = 0; probe < WARDLINE_CLASS_PROBES; probe++) {
		__u32 root = 0, height = 0;

		line = line_at(image, tables->first_bucket + ((hash + probe) & tables->bucket_mask));
		if (!line)
			return 0;
#pragma unroll
		for (i = 0; i < WARDLINE_BUCKET_CLASSES; i++) {
			__u32 mask = mask_of_zero(line->classes[i].place ^ place, line->classes[i].set ^ set);

			root |= line->classes[i].root & mask;
			height |= line->classes[i].height & mask;
		}
		if (root) {
			class->root = root;
			class->height = height;
			return 1;
		}
		/* Buckets fill from the front, so one with room ends the search. */
		if (!line->classes[WARDLINE_BUCKET_CLASSES - 1].root)
			return 0;
	}
	return 0;
}

/* Tables that lack an answer cannot be installed; if some were, they would close and not open. */
#define NO_ANSWER ((__u64)WARDLINE_RESULT_DENY << 32 | WARDLINE_DECISION_NONE)

/*
 * The decision, and its WARDLINE_RESULT_* in the upper half. `question` is the slot, and the direction in bit 1; the
 * address is in host order. A global function with numbers only, so that the verifier walks it once and not in every
 * caller.
 */
GLOBAL __u64 answer_question(__u32 question, __u32 set, __u64 high, __u64 low, __u32 service)
{
	__u32 slot = question & 1;
	void *image = bpf_map_lookup_elem(&wl_tables, &slot);
	struct wardline_line *header;
	struct tree class = {};
	__u32 atom, value;

	if (!image)
		return NO_ANSWER;
	header = line_at(image, 0);
	if (!header)
		return NO_ANSWER;
	if (likely(!high && low >> 32 == 0xffff))
		atom = find_range(slot, header->tables.ipv4_root, header->tables.ipv4_height, low);
	else
		atom = find_wide_range(image, header->tables.ipv6_root, header->tables.ipv6_height, high, low);
	if (atom & WARDLINE_PLACE_EGRESS)
		return NO_ANSWER;
	if (question & 2)
		atom |= WARDLINE_PLACE_EGRESS;
	/* Only an image that lacks the entry of atom 0 has neither; the agent refuses to install one. */
	if (!find_own_class(image, &header->tables, set, atom, &class) &&
	    !find_own_class(image, &header->tables, set, atom & WARDLINE_PLACE_EGRESS, &class))
		return NO_ANSWER;
	value = find_range(slot, class.root, class.height, service);
	if (value == WARDLINE_RANGE_MISSING)
		return NO_ANSWER;
	return (__u64)(value >> WARDLINE_VALUE_FLAGS_SHIFT) << 32 | (value & WARDLINE_VALUE_DECISION);
}

INLINE void find_decision(__u32 slot, __u32 set, int direction, const struct wardline_address *remote, __u8 protocol,
			  __u16 port, struct decision *decision)
{
	__u64 answer = answer_question(slot | (direction & 1) << 1, set, network64(remote->halves[0]),
				       network64(remote->halves[1]), (__u32)protocol << 16 | port);

	decision->index = answer;
	decision->flags = answer >> 32;
}

#endif
