BEGIN TRANSACTION;
CREATE TABLE access_rule (
	id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	service VARCHAR(64) NOT NULL, 
	method VARCHAR(16) NOT NULL, 
	path VARCHAR(128) NOT NULL, 
	CONSTRAINT pk_access_rule PRIMARY KEY (id), 
	CONSTRAINT fk_access_rule_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE, 
	CONSTRAINT uq_access_rule_user_id UNIQUE (user_id, service, method, path)
);
CREATE TABLE address (
	subnet_id VARCHAR(36) NOT NULL, 
	ip_address VARCHAR(64) NOT NULL, 
	port_id VARCHAR(36) NOT NULL, 
	CONSTRAINT pk_address PRIMARY KEY (subnet_id, ip_address), 
	CONSTRAINT fk_address_port_id_port FOREIGN KEY(port_id) REFERENCES port (id) ON DELETE CASCADE, 
	CONSTRAINT fk_address_subnet_id_subnet FOREIGN KEY(subnet_id) REFERENCES subnet (id)
);
INSERT INTO "address" VALUES('5c7d7b4e-f94d-40ec-8923-3c2f5b9891d0','192.168.77.2','29c59c36-f0ed-4067-8e62-f6f0818e7b77');
INSERT INTO "address" VALUES('5c7d7b4e-f94d-40ec-8923-3c2f5b9891d0','192.168.77.3','bec88b21-48af-4679-bdec-1a144f392702');
INSERT INTO "address" VALUES('5c7d7b4e-f94d-40ec-8923-3c2f5b9891d0','192.168.77.4','0cb1d3ed-adba-4445-8cbf-64d186a1f07f');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
CREATE TABLE application_credential (
	id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	name_key VARCHAR(255) NOT NULL, 
	description TEXT, 
	secret_hash VARCHAR(128) NOT NULL, 
	role_ids JSON NOT NULL, 
	access_rule_ids JSON, 
	unrestricted BOOLEAN NOT NULL, 
	expires_at DATETIME, 
	CONSTRAINT pk_application_credential PRIMARY KEY (id), 
	CONSTRAINT fk_application_credential_project_id_project FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE, 
	CONSTRAINT fk_application_credential_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE, 
	CONSTRAINT uq_application_credential_user_id UNIQUE (user_id, name_key)
);
CREATE TABLE audit (
	sequence INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	user_id VARCHAR(64), 
	user_name VARCHAR(255), 
	project_id VARCHAR(64), 
	token_audit_id VARCHAR(64), 
	address VARCHAR(64), 
	request_id VARCHAR(64) NOT NULL, 
	service VARCHAR(64) NOT NULL, 
	method VARCHAR(16) NOT NULL, 
	path VARCHAR(1024) NOT NULL, 
	body JSON, 
	status INTEGER NOT NULL, 
	jobs JSON NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (sequence)
);
INSERT INTO "audit" VALUES(1,'2026-11-29 19:01:30.003769','d89a395fa6e1479f80848178475f8b00','admin','a1973e1954b74d13b72d5de73a62ca7e','0lhHsX7gxaWMj9i-n6dCGA','192.0.2.1','req-de58e349-db5c-4276-8be0-78cf1f27cb0a','operations','PUT','/hosts/host1','{"host": {"groups": ["computes", "networks"], "variables": {"ansible_host": "***", "ansible_ssh_common_args": "***", "ansible_ssh_private_key_file": "***", "ansible_user": "***", "vswitch_data_address": "***", "vswitch_data_interface": "***", "vswitch_physical_networks": "***"}}}',201,'["5e757df1-a086-459d-aac1-d6af3b4be41c"]');
INSERT INTO "audit" VALUES(2,'2026-11-29 19:01:30.014861','d89a395fa6e1479f80848178475f8b00','admin','a1973e1954b74d13b72d5de73a62ca7e','0lhHsX7gxaWMj9i-n6dCGA','192.0.2.1','req-82c106c2-dbc2-420d-b338-a4e6de419c79','operations','PUT','/hosts/host2','{"host": {"groups": ["computes"], "variables": {"ansible_host": "***", "ansible_ssh_common_args": "***", "ansible_ssh_private_key_file": "***", "ansible_user": "***", "vswitch_data_address": "***", "vswitch_data_interface": "***", "vswitch_physical_networks": "***"}}}',201,'["0d81c235-25c3-4f3b-83c5-c1d44152d7fd"]');
INSERT INTO "audit" VALUES(3,'2026-11-29 19:01:29.934391','d89a395fa6e1479f80848178475f8b00','admin','a1973e1954b74d13b72d5de73a62ca7e','0lhHsX7gxaWMj9i-n6dCGA','192.0.2.1','req-9ad66c41-9e96-4bca-ad8b-3b38db97f72e','identity','POST','/v3/auth/tokens','{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "admin", "domain": {"name": "Default"}, "password": "***"}}}, "scope": {"project": {"name": "admin", "domain": {"name": "Default"}}}}}',201,'[]');
CREATE TABLE change_counter (
	id INTEGER NOT NULL, 
	number BIGINT NOT NULL, 
	CONSTRAINT pk_change_counter PRIMARY KEY (id)
);
INSERT INTO "change_counter" VALUES(1,1664);
CREATE TABLE credential (
	id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64), 
	type VARCHAR(255) NOT NULL, 
	sealed TEXT(4194304) NOT NULL, 
	extra JSON NOT NULL, 
	CONSTRAINT pk_credential PRIMARY KEY (id), 
	CONSTRAINT fk_credential_project_id_project FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE, 
	CONSTRAINT fk_credential_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE
);
CREATE TABLE domain (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	name_key VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	tokens_valid_after DATETIME NOT NULL, 
	tags JSON NOT NULL, 
	options JSON NOT NULL, 
	extra JSON NOT NULL, 
	CONSTRAINT pk_domain PRIMARY KEY (id), 
	CONSTRAINT uq_domain_name_key UNIQUE (name_key)
);
INSERT INTO "domain" VALUES('default','Default','default','The default domain',1,'2026-11-29 19:01:26.609089','[]','{}','{}');
CREATE TABLE endpoint (
	id VARCHAR(64) NOT NULL, 
	service_id VARCHAR(64) NOT NULL, 
	region_id VARCHAR(255), 
	interface VARCHAR(16) NOT NULL, 
	url VARCHAR(2048) NOT NULL, 
	name VARCHAR(255), 
	enabled BOOLEAN NOT NULL, 
	extra JSON NOT NULL, 
	CONSTRAINT pk_endpoint PRIMARY KEY (id), 
	CONSTRAINT fk_endpoint_region_id_region FOREIGN KEY(region_id) REFERENCES region (id), 
	CONSTRAINT fk_endpoint_service_id_service FOREIGN KEY(service_id) REFERENCES service (id) ON DELETE CASCADE
);
INSERT INTO "endpoint" VALUES('524b655707b44cea98565c1cf92e8520','8bfe97e3b9984a43b117e93705b7aa12','RegionOne','public','http://192.0.2.1:8000/identity',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('cebfaa3f4ab54dfeab561c5e75ca0a60','8bfe97e3b9984a43b117e93705b7aa12','RegionOne','internal','http://192.0.2.1:8000/identity',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('4bb94cfd1bc34af29af664f71b716b2b','8bfe97e3b9984a43b117e93705b7aa12','RegionOne','admin','http://192.0.2.1:8000/identity',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('eab6cce769ba4ef78d7db122e13fe691','8971b3127f944e63b0b5eeec3e6d0b50','RegionOne','public','http://192.0.2.1:8000/image',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('ce72a417481f4ef0b4aa9619f7eabd92','8971b3127f944e63b0b5eeec3e6d0b50','RegionOne','internal','http://192.0.2.1:8000/image',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('e772d2e90a8c432d895bade2e668c8da','8971b3127f944e63b0b5eeec3e6d0b50','RegionOne','admin','http://192.0.2.1:8000/image',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('320de54f589d43208658c3ce98deeaaf','317012c5eb514d0c9b63d5d90e35410a','RegionOne','public','http://192.0.2.1:8000/compute/v2.1',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('7527bb0032a043acb80f0c32a7056bff','317012c5eb514d0c9b63d5d90e35410a','RegionOne','internal','http://192.0.2.1:8000/compute/v2.1',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('7959786d9c1844d1ae08ddf00ed9b7e0','317012c5eb514d0c9b63d5d90e35410a','RegionOne','admin','http://192.0.2.1:8000/compute/v2.1',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('a93f4a7e12c64eea9f419e4413033eb1','2c60f0c943264f3b9ef1bf6f5894dead','RegionOne','public','http://192.0.2.1:8000/networking',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('5b935d958ba14b46a6e24fbc8b8119a9','2c60f0c943264f3b9ef1bf6f5894dead','RegionOne','internal','http://192.0.2.1:8000/networking',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('40f1bb9ee5db42af882a499c108758fa','2c60f0c943264f3b9ef1bf6f5894dead','RegionOne','admin','http://192.0.2.1:8000/networking',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('7e135220bbb54144a47f7af004c7c75d','8b23a5be616547a381954dac79d91227','RegionOne','public','http://192.0.2.1:8000/v1',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('c13ec452d69c4d2db905a7f4bc303517','8b23a5be616547a381954dac79d91227','RegionOne','internal','http://192.0.2.1:8000/v1',NULL,1,'{}');
INSERT INTO "endpoint" VALUES('7dc20079ae574052965b4b43bab6d7e4','8b23a5be616547a381954dac79d91227','RegionOne','admin','http://192.0.2.1:8000/v1',NULL,1,'{}');
CREATE TABLE event (
	run_id VARCHAR(36) NOT NULL, 
	counter INTEGER NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	host VARCHAR(255), 
	task VARCHAR(255), 
	data JSON NOT NULL, 
	created_at DATETIME NOT NULL, change BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_event PRIMARY KEY (run_id, counter), 
	CONSTRAINT fk_event_run_id_run FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
);
INSERT INTO "event" VALUES('8393b557-5c1d-444f-b11a-511e9c364ace',1,'playbook_on_task_start',NULL,'Read capacity, versions and domains','{"play": "Look at hosts"}','2026-11-29 19:01:30.412200',193);
INSERT INTO "event" VALUES('8393b557-5c1d-444f-b11a-511e9c364ace',2,'playbook_on_task_start',NULL,'Read capacity, versions and domains','{"play": "Look at hosts"}','2026-11-29 19:01:30.422257',194);
INSERT INTO "event" VALUES('8393b557-5c1d-444f-b11a-511e9c364ace',3,'runner_on_ok','host1','Read capacity, versions and domains','{"changed": false, "items": [{"id": "host1", "changed": false}], "seconds": 2.189}','2026-11-29 19:01:32.602802',257);
CREATE TABLE flavor (
	id VARCHAR(255) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT, 
	vcpus INTEGER NOT NULL, 
	ram_mib INTEGER NOT NULL, 
	disk_gib INTEGER NOT NULL, 
	ephemeral_gib INTEGER NOT NULL, 
	swap_mib INTEGER NOT NULL, 
	rxtx_factor DOUBLE NOT NULL, 
	is_public BOOLEAN NOT NULL, 
	disabled BOOLEAN NOT NULL, 
	extra_specs JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_flavor PRIMARY KEY (id), 
	CONSTRAINT uq_flavor_name UNIQUE (name)
);
INSERT INTO "flavor" VALUES('1','m1.nano',NULL,1,128,1,0,0,1.0,1,0,'{}','2026-11-29 19:01:33.179954');
INSERT INTO "flavor" VALUES('2','m1.micro',NULL,1,192,1,0,0,1.0,1,0,'{}','2026-11-29 19:01:33.205412');
CREATE TABLE flavor_access (
	flavor_id VARCHAR(255) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_flavor_access PRIMARY KEY (flavor_id, project_id), 
	CONSTRAINT fk_flavor_access_flavor_id_flavor FOREIGN KEY(flavor_id) REFERENCES flavor (id) ON DELETE CASCADE
);
CREATE TABLE "group" (
	id VARCHAR(64) NOT NULL, 
	domain_id VARCHAR(64) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	name_key VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	extra JSON NOT NULL, 
	CONSTRAINT pk_group PRIMARY KEY (id), 
	CONSTRAINT fk_group_domain_id_domain FOREIGN KEY(domain_id) REFERENCES domain (id) ON DELETE CASCADE, 
	CONSTRAINT uq_group_domain_id UNIQUE (domain_id, name_key)
);
CREATE TABLE group_member (
	group_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_group_member PRIMARY KEY (group_id, user_id), 
	CONSTRAINT fk_group_member_group_id_group FOREIGN KEY(group_id) REFERENCES "group" (id) ON DELETE CASCADE, 
	CONSTRAINT fk_group_member_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE
);
CREATE TABLE heartbeat (
	worker VARCHAR(255) NOT NULL, 
	started_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	runs INTEGER NOT NULL, 
	CONSTRAINT pk_heartbeat PRIMARY KEY (worker)
);
CREATE TABLE host (
	name VARCHAR(255) NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	groups JSON NOT NULL, 
	variables JSON NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	disabled_reason VARCHAR(255), 
	up BOOLEAN NOT NULL, 
	vcpus INTEGER NOT NULL, 
	memory_mib INTEGER NOT NULL, 
	disk_gib INTEGER NOT NULL, 
	info JSON NOT NULL, 
	observed_at DATETIME, 
	created_at DATETIME NOT NULL, failures INTEGER DEFAULT '0' NOT NULL, failed_at DATETIME, unreachable TEXT, retry_at DATETIME, quarantined_at DATETIME, 
	CONSTRAINT pk_host PRIMARY KEY (name), 
	CONSTRAINT uq_host_id UNIQUE (id)
);
INSERT INTO "host" VALUES('host1','33259aba-8e06-4209-a5c5-cbab42a4b681','["computes", "networks"]','{"ansible_host": "192.0.2.11", "ansible_ssh_common_args": "-o UserKnownHostsFile=''/srv/skywright/var/lab/known_hosts'' -o StrictHostKeyChecking=yes -o ServerAliveInterval=3 -o ServerAliveCountMax=3 -o ConnectTimeout=5", "ansible_ssh_private_key_file": "/srv/skywright/var/lab/id_ed25519", "ansible_user": "root", "vswitch_data_address": "198.51.100.11/24", "vswitch_data_interface": "data0", "vswitch_physical_networks": {"physnet1": "br-phy"}}','enabled',NULL,1,2,5721,251,'{"errors": [], "vcpus": 2, "memory_mib": 5721, "libvirt_version": "9.0.0", "hypervisor_type": "QEMU", "hypervisor_version": "7.2.22", "domains": [{"id": "ed79b4e2-cc80-46ea-a807-d5b7d1536c9f", "power": "running", "reason": null}], "ovs_version": "3.1.0", "boot": "5f899043-9f96-4b24-9b4d-944f085e373d.15248", "disk_gib": 251, "disk_free_gib": 79}','2026-11-29 19:02:39.879310','2026-11-29 19:01:29.997562',0,NULL,NULL,NULL,NULL);
INSERT INTO "host" VALUES('host2','575baa2f-ba56-4aaa-b521-748926b23522','["computes"]','{"ansible_host": "192.0.2.12", "ansible_ssh_common_args": "-o UserKnownHostsFile=''/srv/skywright/var/lab/known_hosts'' -o StrictHostKeyChecking=yes -o ServerAliveInterval=3 -o ServerAliveCountMax=3 -o ConnectTimeout=5", "ansible_ssh_private_key_file": "/srv/skywright/var/lab/id_ed25519", "ansible_user": "root", "vswitch_data_address": "198.51.100.12/24", "vswitch_data_interface": "data0", "vswitch_physical_networks": {"physnet1": "br-phy"}}','enabled',NULL,1,2,5721,251,'{"errors": [], "vcpus": 2, "memory_mib": 5721, "libvirt_version": "9.0.0", "hypervisor_type": "QEMU", "hypervisor_version": "7.2.22", "domains": [{"id": "4fad1934-be3f-462b-997e-b4f01e98ffc7", "power": "running", "reason": null}], "ovs_version": "3.1.0", "boot": "fd6f9676-7428-4b5a-8604-42d75484a036.15252", "disk_gib": 251, "disk_free_gib": 79}','2026-11-29 19:02:39.879323','2026-11-29 19:01:30.012345',0,NULL,NULL,NULL,NULL);
CREATE TABLE identity_revision (
	id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	CONSTRAINT pk_identity_revision PRIMARY KEY (id)
);
INSERT INTO "identity_revision" VALUES(1,39);
CREATE TABLE image (
	id VARCHAR(36) NOT NULL, 
	project_id VARCHAR(64), 
	name VARCHAR(255), 
	status VARCHAR(30) NOT NULL, 
	visibility VARCHAR(10) NOT NULL, 
	protected BOOLEAN NOT NULL, 
	os_hidden BOOLEAN NOT NULL, 
	disk_format VARCHAR(20), 
	container_format VARCHAR(20), 
	min_disk INTEGER NOT NULL, 
	min_ram INTEGER NOT NULL, 
	size BIGINT, 
	virtual_size BIGINT, 
	checksum VARCHAR(32), 
	os_hash_algo VARCHAR(16), 
	os_hash_value VARCHAR(128), 
	properties JSON NOT NULL, 
	staged JSON, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	deleted_at DATETIME, 
	CONSTRAINT pk_image PRIMARY KEY (id)
);
INSERT INTO "image" VALUES('8b4ec9d6-d200-4c68-8bb9-0ab8766ec039','a1973e1954b74d13b72d5de73a62ca7e','skywright','active','public',0,0,'qcow2','bare',0,0,17178624,67108864,'8394dc688ee10b33fa6c5067e2390386','sha512','62d278dd8409ff67c9075a0a3b702c003489ca4913f9c6b0b6459ac2e14090842b03ae37a0c8512d935ba765db0966fb6a4a202c634a69d1b1c345ee4bfdd49f','{"owner_specified.openstack.md5": "", "owner_specified.openstack.sha256": "", "owner_specified.openstack.object": "images/skywright"}',NULL,'2026-11-29 19:01:32.985901','2026-11-29 19:01:33.113508',NULL);
CREATE TABLE image_member (
	image_id VARCHAR(36) NOT NULL, 
	member_id VARCHAR(255) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_image_member PRIMARY KEY (image_id, member_id), 
	CONSTRAINT fk_image_member_image_id_image FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE CASCADE
);
CREATE TABLE image_tag (
	image_id VARCHAR(36) NOT NULL, 
	value VARCHAR(255) NOT NULL, 
	CONSTRAINT pk_image_tag PRIMARY KEY (image_id, value), 
	CONSTRAINT fk_image_tag_image_id_image FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE CASCADE
);
CREATE TABLE image_task (
	id VARCHAR(36) NOT NULL, 
	image_id VARCHAR(36) NOT NULL, 
	project_id VARCHAR(64), 
	user_id VARCHAR(64), 
	request_id VARCHAR(64), 
	request JSON NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	message VARCHAR(1024) NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_image_task PRIMARY KEY (id), 
	CONSTRAINT fk_image_task_image_id_image FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE CASCADE
);
CREATE TABLE implied_role (
	prior_id VARCHAR(64) NOT NULL, 
	implied_id VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_implied_role PRIMARY KEY (prior_id, implied_id), 
	CONSTRAINT fk_implied_role_implied_id_role FOREIGN KEY(implied_id) REFERENCES role (id) ON DELETE CASCADE, 
	CONSTRAINT fk_implied_role_prior_id_role FOREIGN KEY(prior_id) REFERENCES role (id) ON DELETE CASCADE
);
INSERT INTO "implied_role" VALUES('1be849ff70704ab7b97c35b50924b3d9','c105eefc00f544ea911608b5bf8a8527');
INSERT INTO "implied_role" VALUES('c105eefc00f544ea911608b5bf8a8527','24b99c3b8179433c9ee48e7da696e822');
INSERT INTO "implied_role" VALUES('24b99c3b8179433c9ee48e7da696e822','c15d4660c4434f31bb0c4d1b83a82f53');
CREATE TABLE "job" (
	sequence INTEGER NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	playbook VARCHAR(64) NOT NULL, 
	action VARCHAR(64) NOT NULL, 
	arguments JSON NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	waiting_for TEXT, 
	waiting_since DATETIME, 
	not_before DATETIME, 
	attempts INTEGER NOT NULL, 
	worker VARCHAR(255), 
	lease_until DATETIME, 
	run_id VARCHAR(36), 
	items JSON NOT NULL, 
	cancel_requested_at DATETIME, 
	result JSON, 
	error TEXT, 
	project_id VARCHAR(64), 
	user_id VARCHAR(64), 
	request_id VARCHAR(64), 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	held_by VARCHAR(255), 
	held_since DATETIME, 
	put_off INTEGER DEFAULT '0' NOT NULL, 
	forced BOOLEAN DEFAULT 0 NOT NULL, 
	change BIGINT DEFAULT '0' NOT NULL, 
	priority INTEGER DEFAULT '0' NOT NULL, 
	undoing BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_job PRIMARY KEY (sequence), 
	CONSTRAINT fk_job_run_id_run FOREIGN KEY(run_id) REFERENCES run (id), 
	CONSTRAINT uq_job_id UNIQUE (id)
);
INSERT INTO "job" VALUES(1,'5e757df1-a086-459d-aac1-d6af3b4be41c','host','observe','{"hosts": ["host1"]}','successful',NULL,NULL,NULL,1,'vm:12488',NULL,'8393b557-5c1d-444f-b11a-511e9c364ace','[["host1", "host1"]]',NULL,'{"items": [{"host": "host1", "module": "host_info", "id": "host1", "changed": false}]}',NULL,'a1973e1954b74d13b72d5de73a62ca7e','d89a395fa6e1479f80848178475f8b00','req-de58e349-db5c-4276-8be0-78cf1f27cb0a','2026-11-29 19:01:30.000581','2026-11-29 19:01:30.077903','2026-11-29 19:01:32.692975',NULL,NULL,0,0,322,0,0);
INSERT INTO "job" VALUES(2,'0d81c235-25c3-4f3b-83c5-c1d44152d7fd','host','observe','{"hosts": ["host2"]}','successful',NULL,NULL,NULL,1,'vm:12488',NULL,'8393b557-5c1d-444f-b11a-511e9c364ace','[["host2", "host2"]]',NULL,'{"items": [{"host": "host2", "module": "host_info", "id": "host2", "changed": false}]}',NULL,'a1973e1954b74d13b72d5de73a62ca7e','d89a395fa6e1479f80848178475f8b00','req-82c106c2-dbc2-420d-b338-a4e6de419c79','2026-11-29 19:01:30.013670','2026-11-29 19:01:30.077903','2026-11-29 19:01:32.683813',NULL,NULL,0,0,321,0,0);
INSERT INTO "job" VALUES(3,'e2ebba5c-5d98-48ff-94b4-c0cfc0fb9d59','server','create','{}','successful',NULL,NULL,NULL,1,'vm:12488',NULL,'353bf6b3-1d21-4538-9bd2-9a744dded402','[["host1", "8b4ec9d6-d200-4c68-8bb9-0ab8766ec039"], ["host1", "ed79b4e2-cc80-46ea-a807-d5b7d1536c9f"], ["host1", "fe094c90-7b5a-4cc9-8bab-b9f77c353b17"]]',NULL,'{"items": [{"host": "host1", "module": "server_disk", "id": "8b4ec9d6-d200-4c68-8bb9-0ab8766ec039", "changed": true, "action": "create", "status": "present"}, {"host": "host1", "module": "server_disk", "id": "ed79b4e2-cc80-46ea-a807-d5b7d1536c9f", "changed": true, "action": "create", "status": "present"}, {"host": "host1", "module": "libvirt_domain", "id": "ed79b4e2-cc80-46ea-a807-d5b7d1536c9f", "changed": true, "action": "create", "status": "running"}, {"host": "host1", "module": "ovs_network", "id": "fe094c90-7b5a-4cc9-8bab-b9f77c353b17", "changed": true, "action": "create", "status": "present"}, {"host": "host1", "module": "dhcp_network", "id": "fe094c90-7b5a-4cc9-8bab-b9f77c353b17", "changed": true, "action": "create", "status": "running"}]}',NULL,'a1973e1954b74d13b72d5de73a62ca7e','d89a395fa6e1479f80848178475f8b00','req-ac12d8e6-d5c6-458c-8241-e66d86fb8c81','2026-11-29 19:01:33.353982','2026-11-29 19:01:33.445249','2026-11-29 19:01:36.309748',NULL,NULL,0,0,898,0,0);
INSERT INTO "job" VALUES(4,'11d6d6ed-7036-4fe2-afad-3a498bd999aa','server','create','{}','successful',NULL,NULL,NULL,1,'vm:12488',NULL,'353bf6b3-1d21-4538-9bd2-9a744dded402','[["host1", "fe094c90-7b5a-4cc9-8bab-b9f77c353b17"], ["host2", "4fad1934-be3f-462b-997e-b4f01e98ffc7"], ["host2", "8b4ec9d6-d200-4c68-8bb9-0ab8766ec039"], ["host2", "fe094c90-7b5a-4cc9-8bab-b9f77c353b17"]]',NULL,'{"items": [{"host": "host1", "module": "ovs_network", "id": "fe094c90-7b5a-4cc9-8bab-b9f77c353b17", "changed": true, "action": "create", "status": "present"}, {"host": "host1", "module": "dhcp_network", "id": "fe094c90-7b5a-4cc9-8bab-b9f77c353b17", "changed": true, "action": "create", "status": "running"}, {"host": "host2", "module": "server_disk", "id": "4fad1934-be3f-462b-997e-b4f01e98ffc7", "changed": true, "action": "create", "status": "present"}, {"host": "host2", "module": "libvirt_domain", "id": "4fad1934-be3f-462b-997e-b4f01e98ffc7", "changed": true, "action": "create", "status": "running"}, {"host": "host2", "module": "server_disk", "id": "8b4ec9d6-d200-4c68-8bb9-0ab8766ec039", "changed": true, "action": "create", "status": "present"}, {"host": "host2", "module": "ovs_network", "id": "fe094c90-7b5a-4cc9-8bab-b9f77c353b17", "changed": true, "action": "create", "status": "present"}]}',NULL,'a1973e1954b74d13b72d5de73a62ca7e','d89a395fa6e1479f80848178475f8b00','req-18ee5226-3953-48ae-bdba-a54b9062a84e','2026-11-29 19:01:33.385747','2026-11-29 19:01:33.445249','2026-11-29 19:01:36.297670',NULL,NULL,0,0,897,0,0);
INSERT INTO "job" VALUES(5,'96107954-7f11-4e0d-9ec5-e3d954ffd44e','host','observe','{}','successful',NULL,NULL,NULL,1,'vm:12488',NULL,'4d40dc49-0c3c-45e8-94dc-385366fc4f1a','[["host1", "host1"], ["host2", "host2"]]',NULL,'{"items": [{"host": "host1", "module": "host_info", "id": "host1", "changed": false}, {"host": "host2", "module": "host_info", "id": "host2", "changed": false}]}',NULL,NULL,NULL,NULL,'2026-11-29 19:01:36.359758','2026-11-29 19:01:36.418717','2026-11-29 19:01:37.592995',NULL,NULL,0,0,1217,0,0);
INSERT INTO "job" VALUES(6,'079eb527-374c-47d8-acf8-e3fcd0a2d6cf','console','read','{"server_id": "4fad1934-be3f-462b-997e-b4f01e98ffc7", "length": 8}','successful',NULL,NULL,NULL,1,'vm:12488',NULL,'9209318a-85c3-475d-9052-4de8fa950710','[["host2", "4fad1934-be3f-462b-997e-b4f01e98ffc7"]]',NULL,'{"output": "skywright guest: ready skywright-2 192.168.77.3\r\n\r\r\nSkywright guest on /dev/ttyS0: log in by SSH key as root or sky\r\n\r\r\n\rskywright-2 login: [    3.876315] SCSI subsystem initialized\r\n"}',NULL,'a1973e1954b74d13b72d5de73a62ca7e','d89a395fa6e1479f80848178475f8b00','req-40af35cd-4837-4c90-92b7-0f61f77dacea','2026-11-29 19:01:43.777478','2026-11-29 19:01:43.835659','2026-11-29 19:01:44.265667',NULL,NULL,0,0,1414,0,0);
INSERT INTO "job" VALUES(7,'cc5d3320-2535-4efc-928c-6a28597dcbc7','host','observe','{}','successful',NULL,NULL,NULL,1,'vm:12488',NULL,'18e447e0-9303-46fd-a8f5-816a52ea4c10','[["host1", "host1"], ["host2", "host2"]]',NULL,'{"items": [{"host": "host1", "module": "host_info", "id": "host1", "changed": false}, {"host": "host2", "module": "host_info", "id": "host2", "changed": false}]}',NULL,NULL,NULL,NULL,'2026-11-29 19:02:39.393372','2026-11-29 19:02:39.451546','2026-11-29 19:02:39.878662',NULL,NULL,0,0,1607,0,0);
CREATE TABLE job_resource (
	job_sequence INTEGER NOT NULL, 
	resource_type VARCHAR(32) NOT NULL, 
	resource_id VARCHAR(255) NOT NULL, 
	CONSTRAINT pk_job_resource PRIMARY KEY (job_sequence, resource_type, resource_id), 
	CONSTRAINT fk_job_resource_job_sequence_job FOREIGN KEY(job_sequence) REFERENCES job (sequence) ON DELETE CASCADE
);
INSERT INTO "job_resource" VALUES(1,'host','host1');
INSERT INTO "job_resource" VALUES(2,'host','host2');
INSERT INTO "job_resource" VALUES(3,'server','ed79b4e2-cc80-46ea-a807-d5b7d1536c9f');
INSERT INTO "job_resource" VALUES(4,'server','4fad1934-be3f-462b-997e-b4f01e98ffc7');
INSERT INTO "job_resource" VALUES(6,'console','4fad1934-be3f-462b-997e-b4f01e98ffc7');
CREATE TABLE keypair (
	id INTEGER NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	type VARCHAR(8) NOT NULL, 
	public_key TEXT NOT NULL, 
	fingerprint VARCHAR(255) NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_keypair PRIMARY KEY (id), 
	CONSTRAINT uq_keypair_user_id UNIQUE (user_id, name)
);
INSERT INTO "keypair" VALUES(1,'d89a395fa6e1479f80848178475f8b00','skywright','ssh','ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICHhyJ6xuJmsgl/C7iEQqlCW6IajMl3Ix1iqXBJGONby demo','c1:b8:1e:2d:24:f5:42:0c:f8:a6:89:ae:6a:bf:c7:e3','2026-11-29 19:01:33.306265');
CREATE TABLE "metadef_item" (
	namespace VARCHAR(80) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	body JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_metadef_item PRIMARY KEY (namespace, kind, name), 
	CONSTRAINT fk_metadef_item_namespace_metadef_namespace FOREIGN KEY(namespace) REFERENCES metadef_namespace (namespace) ON DELETE CASCADE
);
CREATE TABLE metadef_namespace (
	namespace VARCHAR(80) NOT NULL, 
	project_id VARCHAR(255), 
	display_name VARCHAR(80), 
	description VARCHAR(500), 
	visibility VARCHAR(10) NOT NULL, 
	protected BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_metadef_namespace PRIMARY KEY (namespace)
);
CREATE TABLE network (
	type VARCHAR(8) NOT NULL, 
	physical_network VARCHAR(64) NOT NULL, 
	segmentation_id INTEGER NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	admin_state_up BOOLEAN NOT NULL, 
	shared BOOLEAN NOT NULL, 
	mtu INTEGER NOT NULL, 
	deleted_at DATETIME, 
	id VARCHAR(36) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	revision_number INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_network PRIMARY KEY (id), 
	CONSTRAINT uq_network_type UNIQUE (type, physical_network, segmentation_id)
);
INSERT INTO "network" VALUES('vxlan','',9382966,'ACTIVE',1,0,1450,NULL,'fe094c90-7b5a-4cc9-8bab-b9f77c353b17','a1973e1954b74d13b72d5de73a62ca7e','skywright','',1,'2026-11-29 19:01:33.253685','2026-11-29 19:01:33.271012');
CREATE TABLE network_host (
	network_id VARCHAR(36) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	CONSTRAINT pk_network_host PRIMARY KEY (network_id, host), 
	CONSTRAINT fk_network_host_network_id_network FOREIGN KEY(network_id) REFERENCES network (id) ON DELETE CASCADE
);
INSERT INTO "network_host" VALUES('fe094c90-7b5a-4cc9-8bab-b9f77c353b17','host2');
INSERT INTO "network_host" VALUES('fe094c90-7b5a-4cc9-8bab-b9f77c353b17','host1');
CREATE TABLE network_quota (
	project_id VARCHAR(64) NOT NULL, 
	resource VARCHAR(32) NOT NULL, 
	"limit" INTEGER NOT NULL, 
	CONSTRAINT pk_network_quota PRIMARY KEY (project_id, resource)
);
CREATE TABLE network_tag (
	resource_id VARCHAR(36) NOT NULL, 
	tag VARCHAR(255) NOT NULL, 
	CONSTRAINT pk_network_tag PRIMARY KEY (resource_id, tag)
);
CREATE TABLE overcloud (
	name VARCHAR(63) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	"plan" JSON NOT NULL, 
	report JSON, 
	observed_at DATETIME, 
	deployed_at DATETIME, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_overcloud PRIMARY KEY (name)
);
CREATE TABLE policy (
	id VARCHAR(64) NOT NULL, 
	type VARCHAR(255) NOT NULL, 
	blob TEXT(4194304) NOT NULL, 
	extra JSON NOT NULL, 
	CONSTRAINT pk_policy PRIMARY KEY (id)
);
CREATE TABLE port (
	network_id VARCHAR(36) NOT NULL, 
	mac_address VARCHAR(17) NOT NULL, 
	admin_state_up BOOLEAN NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	device_id VARCHAR(255) NOT NULL, 
	device_owner VARCHAR(255) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	vnic_type VARCHAR(64) NOT NULL, 
	binding_profile JSON NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	revision_number INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_port PRIMARY KEY (id), 
	CONSTRAINT fk_port_network_id_network FOREIGN KEY(network_id) REFERENCES network (id), 
	CONSTRAINT uq_port_network_id UNIQUE (network_id, mac_address)
);
INSERT INTO "port" VALUES('fe094c90-7b5a-4cc9-8bab-b9f77c353b17','fa:16:3e:10:85:8c',1,'ACTIVE','ed79b4e2-cc80-46ea-a807-d5b7d1536c9f','compute:nova','host1','normal','{}','29c59c36-f0ed-4067-8e62-f6f0818e7b77','a1973e1954b74d13b72d5de73a62ca7e','','',0,'2026-11-29 19:01:33.351619','2026-11-29 19:01:33.351633');
INSERT INTO "port" VALUES('fe094c90-7b5a-4cc9-8bab-b9f77c353b17','fa:16:3e:f8:c1:be',1,'ACTIVE','4fad1934-be3f-462b-997e-b4f01e98ffc7','compute:nova','host2','normal','{}','bec88b21-48af-4679-bdec-1a144f392702','a1973e1954b74d13b72d5de73a62ca7e','','',0,'2026-11-29 19:01:33.384587','2026-11-29 19:01:33.384595');
INSERT INTO "port" VALUES('fe094c90-7b5a-4cc9-8bab-b9f77c353b17','fa:16:3e:0c:61:12',1,'ACTIVE','dhcp-fe094c90-7b5a-4cc9-8bab-b9f77c353b17','network:dhcp','host1','normal','{}','0cb1d3ed-adba-4445-8cbf-64d186a1f07f','a1973e1954b74d13b72d5de73a62ca7e','','',0,'2026-11-29 19:01:33.474139','2026-11-29 19:01:33.474150');
CREATE TABLE project (
	id VARCHAR(64) NOT NULL, 
	domain_id VARCHAR(64) NOT NULL, 
	parent_id VARCHAR(64), 
	name VARCHAR(64) NOT NULL, 
	name_key VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	tokens_valid_after DATETIME NOT NULL, 
	tags JSON NOT NULL, 
	options JSON NOT NULL, 
	extra JSON NOT NULL, 
	CONSTRAINT pk_project PRIMARY KEY (id), 
	CONSTRAINT fk_project_domain_id_domain FOREIGN KEY(domain_id) REFERENCES domain (id) ON DELETE CASCADE, 
	CONSTRAINT uq_project_domain_id UNIQUE (domain_id, name_key)
);
INSERT INTO "project" VALUES('a1973e1954b74d13b72d5de73a62ca7e','default','default','admin','admin','',1,'2026-11-29 19:01:26.620490','[]','{}','{}');
INSERT INTO "project" VALUES('1946a26c3bd64556b4993925c88278b4','default','default','demo','demo','',1,'2026-11-29 19:01:26.875626','[]','{}','{}');
CREATE TABLE quota_limit (
	project_id VARCHAR(64) NOT NULL, 
	resource VARCHAR(64) NOT NULL, 
	"limit" INTEGER NOT NULL, 
	CONSTRAINT pk_quota_limit PRIMARY KEY (project_id, resource)
);
CREATE TABLE region (
	id VARCHAR(255) NOT NULL, 
	parent_region_id VARCHAR(255), 
	description TEXT NOT NULL, 
	extra JSON NOT NULL, 
	CONSTRAINT pk_region PRIMARY KEY (id)
);
INSERT INTO "region" VALUES('RegionOne',NULL,'','{}');
CREATE TABLE revoked_token (
	audit_id VARCHAR(64) NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pk_revoked_token PRIMARY KEY (audit_id)
);
CREATE TABLE role (
	id VARCHAR(64) NOT NULL, 
	domain_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	name_key VARCHAR(255) NOT NULL, 
	description TEXT, 
	options JSON NOT NULL, 
	extra JSON NOT NULL, 
	CONSTRAINT pk_role PRIMARY KEY (id), 
	CONSTRAINT uq_role_domain_id UNIQUE (domain_id, name_key)
);
INSERT INTO "role" VALUES('1be849ff70704ab7b97c35b50924b3d9','','admin','admin',NULL,'{"immutable": true}','{}');
INSERT INTO "role" VALUES('c105eefc00f544ea911608b5bf8a8527','','manager','manager',NULL,'{"immutable": true}','{}');
INSERT INTO "role" VALUES('24b99c3b8179433c9ee48e7da696e822','','member','member',NULL,'{"immutable": true}','{}');
INSERT INTO "role" VALUES('c15d4660c4434f31bb0c4d1b83a82f53','','reader','reader',NULL,'{"immutable": true}','{}');
INSERT INTO "role" VALUES('a0621d4ef5794d89a8c6057eb150463f','','service','service',NULL,'{"immutable": true}','{}');
INSERT INTO "role" VALUES('21ed8cea3d044d31b38fa4be7284cf48','','ResellerAdmin','reselleradmin',NULL,'{"immutable": true}','{}');
CREATE TABLE role_assignment (
	actor_type VARCHAR(8) NOT NULL, 
	actor_id VARCHAR(64) NOT NULL, 
	target_type VARCHAR(8) NOT NULL, 
	target_id VARCHAR(64) NOT NULL, 
	role_id VARCHAR(64) NOT NULL, 
	inherited BOOLEAN NOT NULL, 
	CONSTRAINT pk_role_assignment PRIMARY KEY (actor_type, actor_id, target_type, target_id, role_id, inherited), 
	CONSTRAINT fk_role_assignment_role_id_role FOREIGN KEY(role_id) REFERENCES role (id) ON DELETE CASCADE
);
INSERT INTO "role_assignment" VALUES('user','d89a395fa6e1479f80848178475f8b00','project','a1973e1954b74d13b72d5de73a62ca7e','1be849ff70704ab7b97c35b50924b3d9',0);
INSERT INTO "role_assignment" VALUES('user','d89a395fa6e1479f80848178475f8b00','system','all','1be849ff70704ab7b97c35b50924b3d9',0);
INSERT INTO "role_assignment" VALUES('user','a77634eea0e7428286a0546adc298293','project','1946a26c3bd64556b4993925c88278b4','24b99c3b8179433c9ee48e7da696e822',0);
CREATE TABLE run (
	id VARCHAR(36) NOT NULL, 
	playbook VARCHAR(64) NOT NULL, 
	worker VARCHAR(255) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	hosts JSON NOT NULL, 
	steps_done INTEGER NOT NULL, 
	steps_total INTEGER NOT NULL, 
	rc INTEGER, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, seconds FLOAT, events INTEGER DEFAULT '0' NOT NULL, failures JSON, task VARCHAR(255), 
	CONSTRAINT pk_run PRIMARY KEY (id)
);
INSERT INTO "run" VALUES('8393b557-5c1d-444f-b11a-511e9c364ace','host','vm:12488','successful','["host1", "host2"]',2,2,0,'2026-11-29 19:01:30.079839','2026-11-29 19:01:32.696743',2.616904,5,NULL,'Read capacity, versions and domains');
INSERT INTO "run" VALUES('353bf6b3-1d21-4538-9bd2-9a744dded402','server','vm:12488','successful','["host1", "host2"]',10,10,0,'2026-11-29 19:01:33.446101','2026-11-29 19:01:36.326106',2.880005,18,NULL,'End where nothing failed');
INSERT INTO "run" VALUES('4d40dc49-0c3c-45e8-94dc-385366fc4f1a','host','vm:12488','successful','["host1", "host2"]',2,2,0,'2026-11-29 19:01:36.419397','2026-11-29 19:01:37.596501',1.177104,5,NULL,'Read capacity, versions and domains');
INSERT INTO "run" VALUES('9209318a-85c3-475d-9052-4de8fa950710','console','vm:12488','successful','["host2"]',1,1,0,'2026-11-29 19:01:43.836500','2026-11-29 19:01:44.267919',0.431419,3,NULL,'Read the ends of the logs');
INSERT INTO "run" VALUES('18e447e0-9303-46fd-a8f5-816a52ea4c10','host','vm:12488','successful','["host1", "host2"]',2,2,0,'2026-11-29 19:02:39.452456','2026-11-29 19:02:39.880875',0.428419,5,NULL,'Read capacity, versions and domains');
CREATE TABLE schedule (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	trust_id VARCHAR(64), 
	application_credential_id VARCHAR(64), 
	cron VARCHAR(255) NOT NULL, 
	timezone VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	sealed TEXT NOT NULL, 
	shown JSON NOT NULL, 
	paused BOOLEAN NOT NULL, 
	next_at DATETIME, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_schedule PRIMARY KEY (id)
);
CREATE TABLE schedule_run (
	id INTEGER NOT NULL, 
	schedule_id VARCHAR(36) NOT NULL, 
	due_at DATETIME NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	status INTEGER, 
	error TEXT, 
	answer JSON, 
	request_id VARCHAR(64), 
	jobs JSON NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	CONSTRAINT pk_schedule_run PRIMARY KEY (id), 
	CONSTRAINT fk_schedule_run_schedule_id_schedule FOREIGN KEY(schedule_id) REFERENCES schedule (id) ON DELETE CASCADE
);
CREATE TABLE server (
	id VARCHAR(36) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255), 
	flavor JSON NOT NULL, 
	vcpus INTEGER NOT NULL, 
	ram_mib INTEGER NOT NULL, 
	disk_gib INTEGER NOT NULL, 
	image_id VARCHAR(36), 
	key_name VARCHAR(255), 
	public_key TEXT, 
	properties JSON NOT NULL, 
	tags JSON NOT NULL, 
	user_data TEXT, 
	admin_pass VARCHAR(255), 
	config_drive BOOLEAN NOT NULL, 
	hostname VARCHAR(255) NOT NULL, 
	access_ipv4 VARCHAR(64) NOT NULL, 
	access_ipv6 VARCHAR(64) NOT NULL, 
	disk_config VARCHAR(8) NOT NULL, 
	reservation_id VARCHAR(16) NOT NULL, 
	launch_index INTEGER NOT NULL, 
	availability_zone VARCHAR(255), 
	wanted_host VARCHAR(255), 
	host VARCHAR(255), 
	power VARCHAR(8) NOT NULL, 
	boot_id VARCHAR(36) NOT NULL, 
	reboot VARCHAR(4) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	task_state VARCHAR(32), 
	power_state INTEGER NOT NULL, 
	fault JSON, 
	kept_ports JSON NOT NULL, 
	locked_by VARCHAR(8), 
	locked_reason VARCHAR(255), 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	launched_at DATETIME, 
	deleted_at DATETIME, 
	CONSTRAINT pk_server PRIMARY KEY (id)
);
INSERT INTO "server" VALUES('ed79b4e2-cc80-46ea-a807-d5b7d1536c9f','a1973e1954b74d13b72d5de73a62ca7e','d89a395fa6e1479f80848178475f8b00','skywright-1',NULL,'{"id": "1", "name": "m1.nano", "vcpus": 1, "ram": 128, "disk": 1, "ephemeral": 0, "swap": 0, "extra_specs": {}}',1,128,1,'8b4ec9d6-d200-4c68-8bb9-0ab8766ec039','skywright','ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICHhyJ6xuJmsgl/C7iEQqlCW6IajMl3Ix1iqXBJGONby demo','{}','[]',NULL,NULL,1,'skywright-1','','','MANUAL','r-171c5a15',0,'nova','host1','host1','running','521937ed-3d6d-4abe-895d-1143d92e417a','hard','ACTIVE',NULL,1,NULL,'[]',NULL,NULL,'2026-11-29 19:01:33.346918','2026-11-29 19:01:36.310850','2026-11-29 19:01:36.310608',NULL);
INSERT INTO "server" VALUES('4fad1934-be3f-462b-997e-b4f01e98ffc7','a1973e1954b74d13b72d5de73a62ca7e','d89a395fa6e1479f80848178475f8b00','skywright-2',NULL,'{"id": "1", "name": "m1.nano", "vcpus": 1, "ram": 128, "disk": 1, "ephemeral": 0, "swap": 0, "extra_specs": {}}',1,128,1,'8b4ec9d6-d200-4c68-8bb9-0ab8766ec039','skywright','ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICHhyJ6xuJmsgl/C7iEQqlCW6IajMl3Ix1iqXBJGONby demo','{}','[]',NULL,NULL,1,'skywright-2','','','MANUAL','r-5dffaa36',0,'nova','host2','host2','running','e23c270b-ca28-41a0-9cb2-538c895f4839','hard','ACTIVE',NULL,1,NULL,'[]',NULL,NULL,'2026-11-29 19:01:33.382202','2026-11-29 19:01:36.301511','2026-11-29 19:01:36.299591',NULL);
CREATE TABLE service (
	id VARCHAR(64) NOT NULL, 
	type VARCHAR(255) NOT NULL, 
	name VARCHAR(255), 
	description TEXT, 
	enabled BOOLEAN NOT NULL, 
	extra JSON NOT NULL, 
	CONSTRAINT pk_service PRIMARY KEY (id)
);
INSERT INTO "service" VALUES('8bfe97e3b9984a43b117e93705b7aa12','identity','keystone',NULL,1,'{}');
INSERT INTO "service" VALUES('8971b3127f944e63b0b5eeec3e6d0b50','image','glance',NULL,1,'{}');
INSERT INTO "service" VALUES('317012c5eb514d0c9b63d5d90e35410a','compute','nova',NULL,1,'{}');
INSERT INTO "service" VALUES('2c60f0c943264f3b9ef1bf6f5894dead','network','neutron',NULL,1,'{}');
INSERT INTO "service" VALUES('8b23a5be616547a381954dac79d91227','operations','skywright',NULL,1,'{}');
CREATE TABLE subnet (
	network_id VARCHAR(36) NOT NULL, 
	subnetpool_id VARCHAR(36), 
	ip_version INTEGER NOT NULL, 
	cidr VARCHAR(64) NOT NULL, 
	gateway_ip VARCHAR(64), 
	enable_dhcp BOOLEAN NOT NULL, 
	dns_nameservers JSON NOT NULL, 
	allocation_pools JSON NOT NULL, 
	host_routes JSON NOT NULL, 
	cursor VARCHAR(64), 
	id VARCHAR(36) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	revision_number INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_subnet PRIMARY KEY (id), 
	CONSTRAINT fk_subnet_network_id_network FOREIGN KEY(network_id) REFERENCES network (id), 
	CONSTRAINT fk_subnet_subnetpool_id_subnet_pool FOREIGN KEY(subnetpool_id) REFERENCES subnet_pool (id)
);
INSERT INTO "subnet" VALUES('fe094c90-7b5a-4cc9-8bab-b9f77c353b17',NULL,4,'192.168.77.0/24','192.168.77.1',1,'[]','[{"start": "192.168.77.2", "end": "192.168.77.254"}]','[]','192.168.77.4','5c7d7b4e-f94d-40ec-8923-3c2f5b9891d0','a1973e1954b74d13b72d5de73a62ca7e','skywright','',0,'2026-11-29 19:01:33.270569','2026-11-29 19:01:33.270580');
CREATE TABLE subnet_pool (
	prefixes JSON NOT NULL, 
	ip_version INTEGER NOT NULL, 
	default_prefixlen INTEGER NOT NULL, 
	min_prefixlen INTEGER NOT NULL, 
	max_prefixlen INTEGER NOT NULL, 
	default_quota INTEGER, 
	shared BOOLEAN NOT NULL, 
	is_default BOOLEAN NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	revision_number INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_subnet_pool PRIMARY KEY (id)
);
CREATE TABLE tally (
	metric VARCHAR(64) NOT NULL, 
	label VARCHAR(255) NOT NULL, 
	value FLOAT NOT NULL, 
	CONSTRAINT pk_tally PRIMARY KEY (metric, label)
);
CREATE TABLE trust (
	id VARCHAR(64) NOT NULL, 
	trustor_user_id VARCHAR(64) NOT NULL, 
	trustee_user_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	impersonation BOOLEAN NOT NULL, 
	role_ids JSON NOT NULL, 
	expires_at DATETIME, 
	remaining_uses INTEGER, 
	CONSTRAINT pk_trust PRIMARY KEY (id), 
	CONSTRAINT fk_trust_project_id_project FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE, 
	CONSTRAINT fk_trust_trustee_user_id_user FOREIGN KEY(trustee_user_id) REFERENCES user (id) ON DELETE CASCADE, 
	CONSTRAINT fk_trust_trustor_user_id_user FOREIGN KEY(trustor_user_id) REFERENCES user (id) ON DELETE CASCADE
);
CREATE TABLE user (
	id VARCHAR(64) NOT NULL, 
	domain_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	name_key VARCHAR(255) NOT NULL, 
	password_hash VARCHAR(128), 
	enabled BOOLEAN NOT NULL, 
	default_project_id VARCHAR(64), 
	tokens_valid_after DATETIME NOT NULL, 
	options JSON NOT NULL, 
	extra JSON NOT NULL, 
	CONSTRAINT pk_user PRIMARY KEY (id), 
	CONSTRAINT fk_user_domain_id_domain FOREIGN KEY(domain_id) REFERENCES domain (id) ON DELETE CASCADE, 
	CONSTRAINT uq_user_domain_id UNIQUE (domain_id, name_key)
);
INSERT INTO "user" VALUES('d89a395fa6e1479f80848178475f8b00','default','admin','admin','$2b$04$j9QF.UnCVzwmdVtH.ww.g.c.Q7Io63QTcsXk4dYAFm0x/PimauKS6',1,'a1973e1954b74d13b72d5de73a62ca7e','2026-11-29 19:01:26.856452','{}','{}');
INSERT INTO "user" VALUES('a77634eea0e7428286a0546adc298293','default','demo','demo','$2b$04$j9QF.UnCVzwmdVtH.ww.g.c.Q7Io63QTcsXk4dYAFm0x/PimauKS6',1,'1946a26c3bd64556b4993925c88278b4','2026-11-29 19:01:27.110566','{}','{}');
CREATE TABLE webhook (
	id VARCHAR(36) NOT NULL, 
	project_id VARCHAR(64), 
	user_id VARCHAR(64) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	url TEXT NOT NULL, 
	states JSON NOT NULL, 
	playbooks JSON NOT NULL, 
	sealed_secret TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	attempted_at DATETIME, 
	CONSTRAINT pk_webhook PRIMARY KEY (id)
);
CREATE TABLE webhook_delivery (
	id VARCHAR(36) NOT NULL, 
	webhook_id VARCHAR(36) NOT NULL, 
	job_id VARCHAR(36) NOT NULL, 
	body TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at DATETIME NOT NULL, 
	status INTEGER, 
	reason VARCHAR(255), 
	created_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	CONSTRAINT pk_webhook_delivery PRIMARY KEY (id), 
	CONSTRAINT fk_webhook_delivery_webhook_id_webhook FOREIGN KEY(webhook_id) REFERENCES webhook (id) ON DELETE CASCADE
);
CREATE TABLE write_lock (
	id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	CONSTRAINT pk_write_lock PRIMARY KEY (id)
);
INSERT INTO "write_lock" VALUES(1,0);
CREATE INDEX ix_image_created_at_id ON image (created_at, id);
CREATE INDEX ix_image_project_id ON image (project_id);
CREATE INDEX ix_network_project_id ON network (project_id);
CREATE INDEX ix_revoked_token_expires_at ON revoked_token (expires_at);
CREATE INDEX ix_server_deleted_at ON server (deleted_at);
CREATE INDEX ix_server_host ON server (host);
CREATE INDEX ix_server_project_created ON server (project_id, created_at, id);
CREATE INDEX ix_subnet_pool_project_id ON subnet_pool (project_id);
CREATE INDEX ix_image_member_member_id ON image_member (member_id);
CREATE INDEX ix_image_task_image_id ON image_task (image_id);
CREATE INDEX ix_port_device_id ON port (device_id);
CREATE INDEX ix_port_host ON port (host);
CREATE INDEX ix_port_network_id ON port (network_id);
CREATE INDEX ix_port_project_id ON port (project_id);
CREATE INDEX ix_project_parent_id ON project (parent_id);
CREATE INDEX ix_role_assignment_target_id ON role_assignment (target_id);
CREATE INDEX ix_subnet_network_id ON subnet (network_id);
CREATE INDEX ix_subnet_project_id ON subnet (project_id);
CREATE INDEX ix_subnet_subnetpool_id ON subnet (subnetpool_id);
CREATE INDEX ix_user_default_project_id ON user (default_project_id);
CREATE INDEX ix_address_port_id ON address (port_id);
CREATE INDEX ix_credential_project_id ON credential (project_id);
CREATE INDEX ix_credential_user_id ON credential (user_id);
CREATE INDEX ix_group_member_user_id ON group_member (user_id);
CREATE INDEX ix_job_resource_resource_id ON job_resource (resource_id);
CREATE INDEX ix_trust_trustee_user_id ON trust (trustee_user_id);
CREATE INDEX ix_trust_trustor_user_id ON trust (trustor_user_id);
CREATE INDEX ix_audit_at ON audit (at);
CREATE INDEX ix_audit_project_sequence ON audit (project_id, sequence);
CREATE INDEX ix_audit_user_id ON audit (user_id);
CREATE INDEX ix_run_started_at ON run (started_at);
CREATE INDEX ix_schedule_next_at ON schedule (next_at);
CREATE INDEX ix_schedule_project_id ON schedule (project_id);
CREATE INDEX ix_webhook_project_id ON webhook (project_id);
CREATE INDEX ix_schedule_run_schedule_id ON schedule_run (schedule_id);
CREATE INDEX ix_schedule_run_started_at ON schedule_run (started_at);
CREATE INDEX ix_schedule_run_state ON schedule_run (state);
CREATE INDEX ix_webhook_delivery_state_next_at ON webhook_delivery (state, next_at);
CREATE INDEX ix_webhook_delivery_webhook_id_created_at ON webhook_delivery (webhook_id, created_at);
CREATE INDEX ix_event_change ON event (change);
CREATE INDEX ix_job_run_id ON job (run_id);
CREATE INDEX ix_job_held_by ON job (held_by);
CREATE INDEX ix_job_change ON job (change);
CREATE INDEX ix_job_project_id ON job (project_id);
CREATE INDEX ix_job_state_created ON job (state, sequence);
CREATE INDEX ix_job_playbook_state ON job (playbook, state);
COMMIT;
