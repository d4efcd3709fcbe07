#include "test_main.h"

void tier_turn_group(TCase *tests);
void tier_fetch_group(TCase *tests);
void tier_checkpoint_group(TCase *tests);
void tier_recover_group(TCase *tests);
void tier_room_group(TCase *tests);
void tier_sort_group(TCase *tests);
void tier_warm_group(TCase *tests);

TEST_MAIN_GROUPS("storage.tier", tier_turn_group, tier_fetch_group, tier_checkpoint_group,
    tier_recover_group, tier_room_group, tier_sort_group, tier_warm_group)
