"""The systems, one file each; a system reads like its paper. A new one is a file and a line here."""

SYSTEMS = {  # name in params.yaml -> module and class; importing this alone imports no torch
    "usol": "model.systems.usol:Usol",
    "attention": "model.systems.attention:Attention",
    "attention_supervised": "model.systems.attention_supervised:AttentionSupervised",
    "lvs": "model.systems.lvs:Lvs",
    "cam": "model.systems.cam:Cam",
    "cam_pseudo": "model.systems.cam_pseudo:CamPseudo",
    "ez_vsl": "model.systems.ez_vsl:EzVsl",
    "guided": "model.systems.guided:Guided",
}
