-- vfio-user, for Wireshark and tshark: reads the captures of `vfio-user-conformance run --trace FILE`.
-- Made by vfio-user-conformance @VERSION@ from its tables of fields. Put it into the folder of personal Lua plugins
-- (Help, About Wireshark, Folders), or give it to tshark: tshark -X lua_script:vfio_user.lua -r FILE

@TABLES@
local vfio_user = Proto("vfio_user", "vfio-user")
local known = {}

local function add(field)
    known[#known + 1] = field
    return field
end

local uint = { [1] = ProtoField.uint8, [2] = ProtoField.uint16, [4] = ProtoField.uint32, [8] = ProtoField.uint64 }

local pseudo = {
    profile = add(ProtoField.uint8("vfio_user.pseudo.profile", "Version of the protocol", base.DEC, profiles)),
    direction = add(ProtoField.uint8("vfio_user.pseudo.direction", "Direction", base.DEC,
        { [0] = "client to server", [1] = "server to client" })),
    channel = add(ProtoField.uint8("vfio_user.pseudo.channel", "Channel", base.DEC, { [0] = "main", [1] = "twin" })),
    fds = add(ProtoField.uint16("vfio_user.pseudo.fds", "Descriptors", base.DEC)),
    event = add(ProtoField.string("vfio_user.pseudo.event", "Event")),
}
local json = add(ProtoField.string("vfio_user.json", "Version data"))
local data = add(ProtoField.bytes("vfio_user.data", "Data"))
local cut_off = ProtoExpert.new("vfio_user.cut_off", "The message ends in its fixed part", expert.group.PROTOCOL,
    expert.severity.NOTE)

for _, layout in pairs(layouts) do
    for _, field in ipairs(layout.fields) do
        local abbreviation = "vfio_user." .. layout.name .. "." .. field.name
        local names = layout.name == "header" and field.name == "error" and errnos or nil
        local shown = field.width == 8 and base.HEX or base.HEX_DEC
        if names then shown = base.DEC end
        field.proto = add(uint[field.width](abbreviation, field.name, shown, names, nil, field.meaning))
        for _, bit in ipairs(field.bits) do
            local name = abbreviation .. "." .. bit.name
            if bit.values then
                bit.proto = add(uint[field.width](name, bit.name, base.DEC, bit.values, bit.mask))
            else
                bit.proto = add(ProtoField.bool(name, bit.name, field.width * 8, nil, bit.mask))
            end
        end
    end
end
vfio_user.fields = known
vfio_user.experts = { cut_off }

-- Integers are in the byte order of the machine that the messages were made on.
local function number(range)
    return little and range:le_uint() or range:uint()
end

local function add_field(tree, field, range)
    local item
    if little then item = tree:add_le(field.proto, range) else item = tree:add(field.proto, range) end
    for _, bit in ipairs(field.bits) do
        if little then item:add_le(bit.proto, range) else item:add(bit.proto, range) end
    end
end

-- Adds the fields that are there; how many bytes the structure has here.
local function add_fields(tree, layout, tvb)
    for _, field in ipairs(layout.fields) do
        if field.offset + field.width > tvb:len() then
            tree:add_proto_expert_info(cut_off)
            return tvb:len()
        end
        add_field(tree, field, tvb(field.offset, field.width))
    end
    return math.min(layout.size, tvb:len())
end

local function body_of(command, reply, payload)
    local body = reply and command.reply or command.request
    if command.flags and payload:len() >= command.flags + 4 then
        local flags = number(payload(command.flags, 4))
        for _, variant in ipairs(command.variants) do
            if bit.tobit(bit.band(flags, variant.mask)) == bit.tobit(variant.flags) then
                return reply and variant.reply or variant.request
            end
        end
    end
    return body
end

local function add_payload(tree, command, reply, payload)
    local body = body_of(command, reply, payload)
    local at = 0
    if body.layout then at = add_fields(tree, layouts[body.layout], payload) end
    if at < payload:len() then
        tree:add(body.json and json or data, payload(at))
    end
end

local function add_message(tree, dialect, tvb, pinfo)
    if tvb:len() < 16 then
        pinfo.cols.info = tvb:reported_len() .. " bytes"
        if tvb:len() > 0 then tree:add(data, tvb()) end
        return
    end
    add_fields(tree:add(vfio_user, tvb(0, 16), "Header"), layouts[header], tvb(0, 16):tvb())
    local id, command = number(tvb(0, 2)), number(tvb(2, 2))
    local flags, errno = number(tvb(8, 4)), number(tvb(12, 4))
    local reply, failed = bit.band(flags, 0xf) == 1, bit.band(flags, 0x20) ~= 0
    local message = dialect[command]
    local name = message and message.name or ("command " .. command)
    local info = name .. " id=" .. id
    if reply and failed then
        info = name .. " error " .. (errnos[errno] or errno) .. " id=" .. id
    elseif reply then
        info = name .. " reply id=" .. id
    end
    pinfo.cols.info = info
    tree:append_text(", " .. info)
    if tvb:len() == 16 then return end
    local payload = tvb(16):tvb()
    if message and not (reply and failed) then
        add_payload(tree:add(vfio_user, tvb(16), name), message, reply, payload)
    else
        tree:add(data, tvb(16))
    end
end

function vfio_user.dissector(tvb, pinfo, tree)
    if tvb:len() < 8 or tvb(0, 1):uint() ~= 1 then return 0 end
    pinfo.cols.protocol = "vfio-user"
    local top = tree:add(vfio_user, tvb())
    local from_server = tvb(2, 1):uint() == 1
    pinfo.cols.src = from_server and "server" or "client"
    pinfo.cols.dst = from_server and "client" or "server"
    local before = top:add(vfio_user, tvb(0, 8), "Pseudo-header")
    before:add(pseudo.profile, tvb(1, 1))
    before:add(pseudo.direction, tvb(2, 1))
    before:add(pseudo.channel, tvb(3, 1))
    before:add(pseudo.fds, tvb(4, 2))
    local length = tvb(6, 2):uint()
    if length > 0 and 8 + length <= tvb:len() then
        local event = tvb(8, length)
        before:add(pseudo.event, event)
        pinfo.cols.info = event:string()
        top:append_text(", " .. event:string())
        if tvb:len() > 8 + length then top:add(data, tvb(8 + length)) end
        return tvb:len()
    end
    if tvb:len() > 8 then
        add_message(top, dialects[tvb(1, 1):uint()] or {}, tvb(8):tvb(), pinfo)
    end
    return tvb:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, vfio_user)
