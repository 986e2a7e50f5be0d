# The fields of OpenStack's meta_data.json that the guest uses, one "name value" a line.
# Values are whatever users wrote: no control character survives, so that a value cannot become a second line.
def line: strings | explode | map(select(. >= 32 and . != 127)) | implode;

"uuid " + (.uuid | line),
"hostname " + (.hostname | line),
(.public_keys | objects | "key " + (.[] | line)),
"password " + (.admin_pass | line)
