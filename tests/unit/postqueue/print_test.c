#include "cli/postqueue/postqueue.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

static char *printed(bool json, bool long_ids, const struct msg_tool_message *messages, size_t n)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    struct printer p;
    setenv("TZ", "UTC", 1);
    tzset();
    print_begin(&p, to, json, long_ids);
    for (size_t i = 0; i < n; i++)
        print_message(&p, &messages[i]);
    print_end(&p);
    fclose(to);
    return text;
}

static struct msg_tool_recipient two[] = {
    {.address = {"one@example.net", 15}, .reason = {"mailbox is full", 15}},
    {.address = {"t wo@example.net", 16}, .reason = {"mailbox is full", 15}},
};
static struct msg_tool_recipient more[] = {{.address = {"three@example.net", 17}, .reason = {"host is down", 12}}};
static struct msg_tool_recipient fresh[] = {{.address = {"x@example.com", 13}}};

static const struct msg_tool_message queue[] = {
    {.id = {"4jYTTW1DJgz0001", 15}, .state = TOOL_IS_DEFERRED, .arrival_us = UINT64_C(1399896732) * 1000000,
     .size = 4209, .sender = {"a@b.org", 7}, .recipients = {two, 2}},
    {.id = {"4jYTTW1DJgz0001", 15}, .continued = 1, .recipients = {more, 1}},
    {.id = {"4jYTTW1DJgz0002", 15}, .state = TOOL_IS_ACTIVE, .arrival_us = UINT64_C(1399896739) * 1000000,
     .size = 1000, .recipients = {fresh, 1}},
    {.id = {"4jYTTW1DJgz0003", 15}, .state = TOOL_IS_HELD, .arrival_us = UINT64_C(1399896739) * 1000000,
     .size = 1, .sender = {"e\033vil\n@b", 8}, .recipients = {fresh, 1}},
};

Test(postqueue, prints_the_list_that_people_know)
{
    char *text = printed(false, false, queue, 4);

    cr_expect_str_eq(text,
                     "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"
                     "4jYTTW1DJgz0001    4209 Mon May 12 12:12:12  a@b.org\n"
                     "                                                             (mailbox is full)\n"
                     "                                         one@example.net\n"
                     "                                         \"t wo\"@example.net\n"
                     "                                                                (host is down)\n"
                     "                                         three@example.net\n"
                     "\n"
                     "4jYTTW1DJgz0002*    1000 Mon May 12 12:12:19  MAILER-DAEMON\n"
                     "                                         x@example.com\n"
                     "\n"
                     "4jYTTW1DJgz0003!       1 Mon May 12 12:12:19  \"e?vil?\"@b\n"
                     "                                         x@example.com\n"
                     "\n"
                     "-- 5 Kbytes in 3 Requests.\n",
                     "%s", text);
    free(text);
}

Test(postqueue, prints_wider_columns_for_long_ids)
{
    char *text = printed(false, true, &queue[2], 1);

    cr_expect_str_eq(text,
                     "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
                     "4jYTTW1DJgz0002*      1000 Mon May 12 12:12:19 MAILER-DAEMON\n"
                     "                                               x@example.com\n"
                     "\n"
                     "-- 0 Kbytes in 1 Request.\n",
                     "%s", text);
    free(text);
}

Test(postqueue, says_that_the_queue_is_empty)
{
    char *text = printed(false, false, queue, 0), *json = printed(true, false, queue, 0);

    cr_expect_str_eq(text, "Mail queue is empty\n");
    cr_expect_str_eq(json, "");
    free(text);
    free(json);
}

Test(postqueue, prints_one_json_object_a_message)
{
    char *text = printed(true, false, queue, 3);

    cr_expect_str_eq(
        text,
        "{\"queue_name\": \"deferred\", \"queue_id\": \"4jYTTW1DJgz0001\", \"arrival_time\": 1399896732, "
        "\"message_size\": 4209, \"forced_expire\": false, \"sender\": \"a@b.org\", \"recipients\": "
        "[{\"address\": \"one@example.net\", \"delay_reason\": \"mailbox is full\"}, "
        "{\"address\": \"\\\"t wo\\\"@example.net\", \"delay_reason\": \"mailbox is full\"}, "
        "{\"address\": \"three@example.net\", \"delay_reason\": \"host is down\"}]}\n"
        "{\"queue_name\": \"active\", \"queue_id\": \"4jYTTW1DJgz0002\", \"arrival_time\": 1399896739, "
        "\"message_size\": 1000, \"forced_expire\": false, \"sender\": \"MAILER-DAEMON\", \"recipients\": "
        "[{\"address\": \"x@example.com\"}]}\n",
        "%s", text);
    free(text);
}
