#include "cleanup/cleanup.h"

static struct maps *open_maps(struct cleanup *c, const char *parameter, const struct param_list *value)
{
    return maps_open(proc_tables(c->proc), span_text(parameter), value->text, TABLE_FOLD);
}

static void configure_recipients(struct cleanup *c, const struct params_cleanup *own, const struct params_main *main,
                                 const struct routing *routing)
{
    unsigned propagate = main->propagate_unmatched_extensions;
    c->config.recipients = (struct recipients_config){
        .routing = routing,
        .virtual_alias_maps = open_maps(c, "virtual_alias_maps", &main->virtual_alias_maps),
        .canonical_maps = open_maps(c, "canonical_maps", &main->canonical_maps),
        .propagate_canonical = (propagate & (1u << PARAM_extension_map_canonical)) != 0,
        .propagate_virtual = (propagate & (1u << PARAM_extension_map_virtual_alias)) != 0,
        .sender_canonical_maps = open_maps(c, "sender_canonical_maps", &own->sender_canonical_maps),
        .recipient_canonical_maps = open_maps(c, "recipient_canonical_maps", &main->recipient_canonical_maps),
        .sender_bcc_maps = open_maps(c, "sender_bcc_maps", &own->sender_bcc_maps),
        .recipient_bcc_maps = open_maps(c, "recipient_bcc_maps", &own->recipient_bcc_maps),
        .canonical_classes = own->canonical_classes,
        .sender_canonical_classes = own->sender_canonical_classes,
        .recipient_canonical_classes = own->recipient_canonical_classes,
        .masquerade_domains = own->masquerade_domains.at,
        .masquerade_domain_count = own->masquerade_domains.n,
        .masquerade_exceptions = own->masquerade_exceptions.at,
        .masquerade_exception_count = own->masquerade_exceptions.n,
        .masquerade_classes = own->masquerade_classes,
        .always_bcc = own->always_bcc,
        .limits = {.addresses = own->virtual_alias_expansion_limit,
                   .depth = own->virtual_alias_recursion_limit,
                   .bytes = own->virtual_alias_address_length_limit},
        .duplicate_limit = own->duplicate_filter_limit,
        .keep_original = own->enable_original_recipient,
    };
}

bool cleanup_configure(struct cleanup *c)
{
    const struct params_cleanup *own = proc_params_cleanup(c->proc);
    const struct params_main *main = own ? proc_params_main(c->proc) : NULL;
    const struct routing *routing = main ? proc_routing(c->proc, main) : NULL;
    if (!routing)
        return false;
    const struct params_smtpd *smtpd = proc_params_smtpd(c->proc); /* queue_minfree stands there, as in Postfix */
    if (!smtpd)
        return false;
    c->config.head = (struct head_config){
        .myhostname = main->myhostname,
        .undisclosed = own->undisclosed_recipients_header,
        .dropped = own->message_drop_headers.at,
        .dropped_count = own->message_drop_headers.n,
        .header_size_limit = main->header_size_limit,
        .token_limit = main->header_address_token_limit,
        .hopcount_limit = own->hopcount_limit,
        .long_ids = main->enable_long_queue_ids,
        .obsolete_from = main->header_from_format == PARAM_header_from_obsolete,
    };
    configure_recipients(c, own, main, routing);
    c->config.space = (struct space_limits){smtpd->queue_minfree, main->message_size_limit};
    c->config.message_limit = main->message_size_limit;
    c->config.always_complete = own->always_add_missing_headers;
    c->config.remote_rewrite = main->remote_header_rewrite_domain.n > 0;
    return true;
}
